"""All results of a run: the attributes of the root of results.h5, and its groups."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from .canonical import Canonical
from .comparison import TransitionsCompared
from .corrected import Corrected
from .electrochemistry import DifferentialCapacity, Voltage
from .experiment import ExperimentalPoints
from .ground_states import GroundStates
from .hysteresis import Hysteresis
from .order import Dilute, Order
from .phase_diagram import Hull, PhaseDiagram
from .phases import Phases
from .replicas import Exchange, FixedComposition, Semigrand, Vcsgc
from .schema import Group, attribute, results_group
from .transitions import Transitions


@results_group
class Attributes(Group):
    """What was run, and by what. Results of a round of active learning have a title alone."""

    title: str = attribute("title of the run", default="")
    format_version: int | None = attribute("format of the file that was read; written files have the present one", default=None)
    redoxmc_version: str | None = attribute("version of RedoxMC", default=None)
    git_commit: str | None = attribute("commit of RedoxMC", default=None)
    packages: dict[str, str] | None = attribute("versions of the packages that were used", json=True, default=None)
    input: str | None = attribute("the input file, verbatim", default=None)
    config: dict[str, Any] | None = attribute("the input with all defaults", json=True, default=None)
    seed: int | None = attribute("seed of the random numbers", default=None)
    file_hashes: dict[str, Any] | None = attribute("SHA-256 of the files that the input names", json=True, default=None)
    fingerprint: str | None = attribute("hash of all that the analysis depends on", default=None)
    hamiltonian: str | None = attribute("hash of the Hamiltonian", default=None)
    n_formula_units: int | None = attribute("formula units in the supercell", default=None)
    formula_unit: dict[str, float] | None = attribute("atoms in a formula unit, by element", json=True, default=None)
    ion: str | None = attribute("the ion that x counts; empty: there are several", default=None)
    attempted_moves: int | None = attribute("attempted moves in the samples", default=None)
    sweeps_measured: int | None = attribute("sweeps in the samples, per replica", default=None)
    walkers: int | None = attribute("independent walkers per replica", default=None)
    moves: str | None = attribute("kinds of moves and their shares", default=None)
    notes: list[str] | None = attribute("what a reader of the results should know", json=True, default=None)


@dataclass(frozen=True)
class Results:
    """Groups that were not computed are None. Field names are the names of the groups in the file."""

    attributes: Attributes
    semigrand: Semigrand | None = None
    vcsgc: Vcsgc | None = None
    fixed_composition: FixedComposition | None = None
    canonical: Canonical | None = None
    order: Order | None = None
    hull: Hull | None = None
    phase_diagram: PhaseDiagram | None = None
    transitions: Transitions | None = None
    phases: Phases | None = None
    phase_diagram_second: PhaseDiagram | None = None
    phase_diagram_beside: PhaseDiagram | None = None
    transitions_beside: Transitions | None = None
    transitions_compared: TransitionsCompared | None = None
    dilute: Dilute | None = None
    voltage: Voltage | None = None
    differential_capacity: DifferentialCapacity | None = None
    hysteresis: Hysteresis | None = None
    exchange: Exchange | None = None
    ground_states: GroundStates | None = None
    corrected: Corrected | None = None
    experiment: ExperimentalPoints | None = None

    @property
    def groups(self) -> dict[str, Group]:
        """Those that there are, by name."""
        return {name: group for name in group_classes() if (group := getattr(self, name)) is not None}


@cache
def group_classes() -> dict[str, type[Group]]:
    """The class of every group that results.h5 can have."""
    return dict(_group_classes())


def _group_classes() -> Iterator[tuple[str, type[Group]]]:
    hints = get_type_hints(Results)
    for f in fields(Results):
        if f.name != "attributes":
            yield f.name, next(t for t in get_args(hints[f.name]) if t is not NoneType)
