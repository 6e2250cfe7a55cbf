"""What was run: versions, seed, files, times."""

from datetime import UTC, datetime
from pathlib import Path

from ..runtime.results import Results
from ..runtime.sample_store import SampleStore

KEYS = {
    "redoxmc_version": "RedoxMC",
    "git_commit": "git commit",
    "seed": "seed",
    "moves": "moves",
    "fingerprint": "fingerprint",
    "hamiltonian": "hamiltonian",
}


def facts(results: Results, folder: Path) -> list[tuple[str, str]]:
    """(what, value) for the report; times are those of the files in the output folder."""
    a = results.attributes
    found = [(words, str(value)) for key, words in KEYS.items() if (value := getattr(a, key)) is not None]
    files = {name: value if isinstance(value, str) else ", ".join(value) for name, value in (a.file_hashes or {}).items()}
    found += [(f"hash of the {name}", value) for name, value in files.items()]
    found.append(("packages", ", ".join(f"{name} {version}" for name, version in (a.packages or {}).items())))
    return found + _times(folder)


def _times(folder: Path) -> list[tuple[str, str]]:
    store = SampleStore(folder / "samples")
    segments = [store.segment(None, number) for number in range(store.committed())]
    moments = {
        "sampling began": [store.identity],
        "last samples": segments[-1:],
        "analysed": [folder / "results.h5"],
    }
    return [(words, _moment(path)) for words, paths in moments.items() for path in paths if path.exists()]


def _moment(path: Path) -> str:
    return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d %H:%M:%S} UTC"
