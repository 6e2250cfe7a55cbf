"""How to cite a run: RedoxMC and the works behind the methods that were used, from CITATION.cff."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from ..runtime.results import Results
from ..runtime.shipped import SHIPPED
from .page import Citations

FILE = SHIPPED / "CITATION.cff"


@dataclass(frozen=True)
class Run:
    """What shows which methods a run used."""

    results: Results

    @property
    def config(self) -> dict[str, Any]:
        return self.results.attributes.config or {}

    @property
    def splits_entropy(self) -> bool:
        split = self.results.canonical.split if self.results.canonical else None
        electrons = (self.config.get("energy") or {}).get("electrons")
        return electrons == "ground_state" or (split is not None and split.entropy_electron_given_ion_kB is not None)

    @property
    def uses_mbar(self) -> bool:
        checks = self.results.canonical.checks if self.results.canonical else None
        return checks is not None and checks.free_energy_mbar_eV is not None

    def uses_potential(self, model: str) -> bool:
        energy = self.config.get("energy") or {}
        expansion = energy.get("cluster_expansion") or {}
        makes_labels = bool(expansion) and not expansion.get("dataset") and not expansion.get("model")
        given = (self.config.get("potential") or {}) if makes_labels or self.config.get("correction") else {}
        return given.get("model") == model


SCOPES: dict[str, Callable[[Run], bool]] = {
    "electronic entropy": lambda r: r.splits_entropy,
    "sampling across gaps": lambda r: r.results.vcsgc is not None,
    "cluster expansion": lambda r: bool((r.config.get("energy") or {}).get("cluster_expansion")),
    "potential cpainn": lambda r: r.uses_potential("cpainn"),
    "potential mace": lambda r: r.uses_potential("mace"),
    "potential chgnet": lambda r: r.uses_potential("chgnet"),
    "free energies by MBAR": lambda r: r.uses_mbar,
    "equilibration": lambda r: True,
    "R-hat": lambda r: True,
    "vibrations": lambda r: r.results.canonical is not None and r.results.canonical.vibrational is not None,
    "sampling with the potential": lambda r: r.results.corrected is not None,
    "ground states": lambda r: r.results.ground_states is not None,
    "structures": lambda r: True,
}


def citations(results: Results) -> Citations:
    own = YAML(typ="safe", pure=True).load(FILE.read_text(encoding="utf-8"))
    run = Run(results)
    used = [work for work in own["references"] if SCOPES[work["scope"]](run)]
    works = [("", in_words(own)), *((work["scope"], in_words(work)) for work in used)]
    others = ["Also cite the authors of the data set, the potential or the Hamiltonian that this run used."]
    if results.experiment is not None:
        sources = dict.fromkeys(s for s in results.experiment.source.tolist() if s)
        others += [f"Experiment shown in the phase diagram: {source}" for source in sources]
    return Citations(works, "\n\n".join(bibtex(work) for work in (own, *used)), others)


def in_words(work: dict[str, Any]) -> str:
    """One line of a list of references."""
    authors = ", ".join(" ".join(filter(None, (a.get("given-names"), _name(a)))) for a in work["authors"])
    if "journal" not in work:
        return f"{authors}, {work['title']}, version {work['version']} ({_year(work)})"
    place = " ".join(str(work[key]) for key in ("journal", "volume") if key in work)
    return f"{authors}, {work['title']}, {place}{', ' + work['start'] if 'start' in work else ''} ({_year(work)})" + (
        f", doi:{work['doi']}" if "doi" in work else ""
    )


def bibtex(work: dict[str, Any]) -> str:
    """One entry; its key is the first author's name and the year."""
    names = [
        ", ".join(filter(None, (_name(a), a.get("given-names")))) if "name" not in a else f"{{{_name(a)}}}"
        for a in work["authors"]
    ]
    fields = {
        "author": " and ".join(names),
        "title": f"{{{work['title']}}}",
        **{
            theirs: work.get(ours)
            for theirs, ours in {"journal": "journal", "volume": "volume", "pages": "start", "doi": "doi"}.items()
        },
        "version": None if "journal" in work else work["version"],
        "year": _year(work),
    }
    kind = "article" if "journal" in work else "software"
    key = "RedoxMC" if kind == "software" else re.sub(r"\W", "", _name(work["authors"][0])) + str(_year(work))
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _name(author: dict[str, str]) -> str:
    return author.get("family-names") or author["name"]


def _year(work: dict[str, Any]) -> str:
    return str(work.get("year") or work["date-released"])[:4]
