"""The two subsystems of a state: which element is on which site (ions), and which charge each element has (electrons)."""

from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice, Sublattice
from ...crystal.neutral_states import FreeSites, SiteGroup
from ...crystal.subsystems import MOST_LISTED, has_electrons, separable
from .system import System


class Subsystem(StrEnum):
    """A part of the state. The order is that of the last axis of the conditional entropies."""

    ELECTRONS = "electrons"
    IONS = "ions"


def free_subsystems(lattice: Lattice) -> tuple[Subsystem, ...]:
    """Subsystems that can change while the other one is frozen."""
    every = tuple(Subsystem)
    return every[: 0 if not has_electrons(lattice) else 2 if separable(lattice) else 1]


class FreeSubsystem:
    """One subsystem, free to change while the other one and the counts of the ions stay as in `species` (n_sites,).

    frozen: the sites that stay, as bytes.
    """

    def __init__(self, system: System, species: NDArray[np.int8], subsystem: Subsystem) -> None:
        self.system, self.species, self.subsystem = system, species, subsystem
        groups = _electron_groups(system, species) if subsystem is Subsystem.ELECTRONS else _ion_groups(system)
        stays = np.ones(len(species), bool)
        for group in groups:
            stays[group.sites] = False
        self.groups, self.outside = tuple(groups), np.flatnonzero(stays)
        self.frozen = species[stays].tobytes()

    @cached_property
    def _of_the_frozen(self) -> tuple[int, int]:
        """Charge of the frozen sites and spectators, and number of frozen ions."""
        system, outside = self.system, self.outside
        sub = system.supercell.site_sublattice
        kinds = [[(sp.charge, sp.name == system.ion) for sp in s.species] for s in system.lattice.sublattices]
        kept = [kinds[g][k] for g, k in zip(sub[outside].tolist(), self.species[outside].tolist())]
        charge = system.supercell.n_cells * system.lattice.spectator_charge + sum(q for q, _ in kept)
        return charge, sum(is_ion for _, is_ion in kept)

    @cached_property
    def n(self) -> int:
        """Free ions."""
        return int(self.system.count_ions(self.species)[0]) - self._of_the_frozen[1]

    @cached_property
    def pool(self) -> FreeSites:
        """Neutral arrangements of the free sites."""
        return FreeSites(self.groups, self.system.ion, self._of_the_frozen[0])

    @property
    def log_states(self) -> float:
        """ln of the number of arrangements of this subsystem."""
        return self.pool.log_states(self.n)

    @property
    def few(self) -> bool:
        """Whether its arrangements can be listed."""
        return float(sum(len(g.sites) * np.log(len(g.codes)) for g in self.groups)) <= np.log(MOST_LISTED) + 1e-9

    def draw(self, rng: np.random.Generator) -> NDArray[np.int8]:
        """A state (n_sites,) with this subsystem drawn uniformly, which is exact at infinite temperature."""
        state = self.species.copy()
        self.pool.draw(state, self.n, rng)
        return state

    @cached_property
    def states(self) -> NDArray[np.int8]:
        """All arrangements of this subsystem, (k, n_sites); only if they are few."""
        groups = self.groups
        choices = [g.codes.tolist() for g in groups for _ in g.sites]
        places = np.indices([len(c) for c in choices]).reshape(len(choices), -1)
        codes = np.array([np.array(c, np.int8)[p] for c, p in zip(choices, places)], np.int8).reshape(len(choices), -1).T
        tables = [_charge_and_ion(g, self.system.ion) for g in groups for _ in g.sites]
        sums = sum((t[c] for t, c in zip(tables, codes.T.astype(int))), np.zeros((len(codes), 2), np.int64))
        codes = codes[(sums == [-self.pool.charge, self.n]).all(axis=1)]
        states = np.repeat(self.species[None], len(codes), axis=0)
        if groups:
            states[:, np.concatenate([g.sites for g in groups])] = codes
        return states


def _charge_and_ion(group: SiteGroup, ion: str | None) -> NDArray[np.int64]:
    """(species numbers, 2): charge and whether it is the ion."""
    table = np.zeros((int(group.codes.max()) + 1, 2), np.int64)
    for code, sp in zip(group.codes, group.sublattice.species):
        table[code] = sp.charge, sp.name == ion
    return table


def _electron_groups(system: System, species: NDArray[np.int8]) -> list[SiteGroup]:
    """Sites of one element of one sublattice, wherever that element has several charges."""
    found, sub = [], system.supercell.site_sublattice
    for g, s in enumerate(system.lattice.sublattices):
        for element in sorted({sp.element for sp in s.species}):
            codes = np.array([k for k, sp in enumerate(s.species) if sp.element == element])
            sites = np.flatnonzero((sub == g) & np.isin(species, codes))
            if len(codes) > 1 and len(sites):
                found.append(SiteGroup(Sublattice(s.element, tuple(s.species[k] for k in codes)), codes, sites))
    return found


def _ion_groups(system: System) -> list[SiteGroup]:
    """The sublattices of several elements."""
    sub = system.supercell.site_sublattice
    return [
        SiteGroup(s, np.arange(len(s.species)), np.flatnonzero(sub == g))
        for g, s in enumerate(system.lattice.sublattices)
        if len({sp.element for sp in s.species}) > 1
    ]
