"""Names of the phases of a catalogue, and which of them the smaller cell cannot hold."""

from ...crystal.lattice import Lattice
from ...crystal.ordered_cell import cell_of_state
from ...crystal.phase_names import disordered_name, phase_name
from ...sampling.phases.tasks import Catalogue
from .phases import Phases

TOO_LARGE = "the second cell of {} formula units cannot hold {}: how their lines change with the size is not known"


def names_of(catalogue: Catalogue, lattice: Lattice) -> list[str]:
    """Of all phases, the disordered one first."""
    patterns = [p.pattern for p in catalogue.phases]
    return [disordered_name(lattice), *(phase_name(cell_of_state(p.supercell, p.species)) for p in patterns)]


def too_large(phases: Phases, names: list[str]) -> list[str]:
    """A note if the smaller cell does not have the periods of some."""
    which = [name for name, p in zip(names[1:], phases.catalogue.phases) if p.small is None]
    return [TOO_LARGE.format(phases.smaller.n_fu, "; ".join(which))] if which else []
