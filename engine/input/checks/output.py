"""Checks of the output folder: it contains nothing that the run reads, since the run overwrites and --fresh deletes it."""

from pathlib import Path

from ...errors import RedoxError
from ..reader import InputFile, Location
from .checker import Checker


def check_output(source: InputFile, check: Checker) -> None:
    """The output folder is a folder, and contains neither the input file nor a file that the input names."""
    folder = source.resolve(source.config.output)
    if folder.exists() and not folder.is_dir():
        check.wrong(("output",), f"found {folder}, which is a file; allowed: a folder")
    if source.path.is_relative_to(folder):
        check.wrong(
            ("output",), f"found {folder}, which contains the input file; allowed: a folder of its own, such as ../outputs/NAME"
        )
    for at, path in _named(source):
        if path.is_relative_to(folder):
            check.wrong(
                ("output",),
                f"found {folder}, which contains {path.name} of {'.'.join(map(str, at))}; allowed: a folder of its own",
            )
    if source.config.analysis.beside is not None and source.resolve(source.config.analysis.beside) == folder:
        check.wrong(("analysis", "beside"), "found the output folder of this run; allowed: that of another run")


def _named(source: InputFile) -> list[tuple[Location, Path]]:
    """Every file that the run reads, with the key that names it."""
    config = source.config
    expansion = config.energy.cluster_expansion if config.energy else None
    single = [
        (("lattice", "structure"), config.lattice.structure),
        (("potential", "file"), config.potential.file if config.potential else None),
        (("analysis", "vibrations"), config.analysis.vibrations),
        *((("energy", "cluster_expansion", "model"), path) for path in (expansion.model_files if expansion else ())),
        *(
            (("training", "potentials", k, "file"), p.file)
            for k, p in enumerate(config.training.potentials if config.training else ())
        ),
    ]
    several = [
        (("energy", "cluster_expansion", "dataset"), expansion.dataset if expansion else None),
        (("training", "dataset"), config.training.dataset if config.training else None),
        (("evaluation", "reference"), config.evaluation.reference if config.evaluation else None),
    ]
    named: list[tuple[Location, Path]] = [(at, source.resolve(path)) for at, path in single if path is not None]
    for at, patterns in several:
        try:
            named += [(at, path) for path in source.files(patterns or ())]
        except RedoxError:
            continue  # missing files are reported where they are read
    return named
