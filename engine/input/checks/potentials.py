"""Files of potentials, frames and references; species that a data set can tell apart."""

from ase.data import atomic_numbers

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ..reader import InputFile, Location
from .checker import Checker


def symbols_differ(source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Data sets tell species by their chemical symbol: each needs one of its own."""
    seen: dict[str, str] = {}
    for k, s in enumerate(lattice.sublattices):
        for sp in s.species:
            at: Location = ("lattice", "sublattices", k, "species", sp.name)
            if sp.symbol not in atomic_numbers:
                check.wrong(at, f"{sp.symbol} is no chemical element; give a proxy")
            elif sp.symbol in lattice.spectators:
                check.wrong(at, f"{sp.symbol} is a spectator; give another proxy")
            elif seen.get(sp.symbol, sp.name) != sp.name:
                check.wrong(
                    at,
                    f"{sp.name} and {seen[sp.symbol]} would both be {sp.symbol} in the data set; give one a proxy, e.g. {{charge: {sp.charge}, proxy: Ga}}",
                )
            seen.setdefault(sp.symbol, sp.name)


def check_potentials(source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Files of potentials, frames and references exist; charge states can be told apart."""
    config = source.config
    makes_labels = config.energy is not None and config.energy.needs_labels
    if not (config.training or config.evaluation or config.correction or makes_labels):
        return
    symbols_differ(source, lattice, check)
    named: list[tuple[Location, tuple[str, ...]]] = []
    if makes_labels and config.potential is None:
        check.wrong(
            ("energy", "cluster_expansion"),
            "found neither dataset nor model; allowed: either dataset or model, or potential, which makes the data set",
        )
    if config.potential is not None:
        at: Location = ("potential",)
        named += [((*at, "file"), (str(config.potential.file),))] if config.potential.file else []
        if config.potential.model in ("mace", "cpainn") and config.potential.file is None:
            check.wrong((*at, "file"), f"{config.potential.model} needs the file of its weights")
    if config.training is not None:
        named.append((("training", "dataset"), config.training.dataset))
        for k, entry in enumerate(config.training.potentials):
            for key in ("file", "start_from"):
                path = getattr(entry, key)
                named += [(("training", "potentials", k, key), (str(path),))] if path else []
    if config.evaluation is not None:
        named += [(("evaluation", "reference"), config.evaluation.reference)] if config.evaluation.reference else []
        if config.training is None and config.potential is None:
            check.wrong(("evaluation",), "there is nothing to evaluate: give potential, or training")
    for where, patterns in named:
        try:
            source.files(patterns)
        except RedoxError as error:
            check.wrong(where, str(error))
