"""Checks of potentials and their data: the files exist, and every species has its own chemical symbol."""

from ase.data import atomic_numbers

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ..reader import InputFile, Location
from .checker import Checker


def symbols_differ(source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Every species has a chemical symbol of its own, by which data sets identify it."""
    seen: dict[str, str] = {}
    for k, s in enumerate(lattice.sublattices):
        for sp in s.species:
            at: Location = ("lattice", "sublattices", k, "species", sp.name)
            if sp.symbol not in atomic_numbers:
                check.wrong(at, f"found {sp.symbol}, which is not a chemical element; allowed: a species with a proxy")
            elif sp.symbol in lattice.spectators:
                check.wrong(at, f"found {sp.symbol}, which is a spectator; allowed: another proxy")
            elif seen.get(sp.symbol, sp.name) != sp.name:
                check.wrong(
                    at,
                    f"{sp.name} and {seen[sp.symbol]} would both be {sp.symbol} in the data set; "
                    f"give one of them a proxy, e.g. {{charge: {sp.charge}, proxy: Ga}}",
                )
            seen.setdefault(sp.symbol, sp.name)


def check_potentials(source: InputFile, lattice: Lattice, check: Checker) -> None:
    """All files of potentials, frames and references exist, and data sets can identify every species."""
    config = source.config
    makes_labels = config.energy is not None and config.energy.needs_labels
    if not (config.training or config.evaluation or config.correction or makes_labels):
        return
    symbols_differ(source, lattice, check)
    named: list[tuple[Location, tuple[str, ...]]] = []
    if makes_labels and config.potential is None:
        check.wrong(
            ("energy", "cluster_expansion"),
            "found neither dataset nor model; allowed: dataset, model, or the section potential, which makes the data set",
        )
    if config.potential is not None:
        at: Location = ("potential",)
        named += [((*at, "file"), (str(config.potential.file),))] if config.potential.file else []
        if config.potential.model in ("mace", "cpainn") and config.potential.file is None:
            check.wrong((*at, "file"), f"missing; {config.potential.model} needs the file of its weights")
    if config.training is not None:
        named.append((("training", "dataset"), config.training.dataset))
        for k, entry in enumerate(config.training.potentials):
            for key in ("file", "start_from"):
                path = getattr(entry, key)
                named += [(("training", "potentials", k, key), (str(path),))] if path else []
    if config.evaluation is not None:
        named += [(("evaluation", "reference"), config.evaluation.reference)] if config.evaluation.reference else []
        if config.training is None and config.potential is None:
            check.wrong(("evaluation",), "found nothing to evaluate; allowed: together with potential or training")
    for where, patterns in named:
        try:
            source.files(patterns)
        except RedoxError as error:
            check.wrong(where, str(error))
