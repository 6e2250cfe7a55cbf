"""Radii on a shell of neighbours are refused, and rounding decides for no site whether it is near another."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.crystal.shells import on_a_shell, past_the_shell, shells_between
from redoxmc.engine.errors import InputError
from redoxmc.engine.hamiltonian.terms import pairs_within
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.sampling.chains.moves import near_sites
from redoxmc.engine.stages.prepare import prepare

LAYER = Atoms("NaMn", scaled_positions=[(0, 0, 0), (0, 0, 0.5)], cell=[2.87, 2.87, 4.7, 90, 90, 120], pbc=True)
INPUT = """\
output: out
lattice:
  structure: NAME
  sublattices: [{element: Na, species: {Na+: 1, Va: 0}}, {element: Mn, species: {Mn3+: -1, Mn4+: 0}}]
  supercell: [2, 2, 2]
energy:
  pairs: [{species: [Na+, Na+], r_A: [LOW, HIGH], energy_eV: 0.05}]
sampling: {temperature_K: [300]}
""".replace("Mn3+", "A").replace("Mn4+", "B")


def layered(atoms: Atoms = LAYER) -> Lattice:
    kinds = (Sublattice("Na", (Species("Na+", 1), Species("Va", 0))), Sublattice("Mn", (Species("A", -1), Species("B", 0))))
    return build_lattice(atoms, kinds, {})


@pytest.mark.parametrize("name", ["s.cif", "s.vasp"])
@pytest.mark.parametrize(("low", "high"), [(0, 2.87), (2.8704, 4), (2, 4.7)])
def test_a_bound_on_a_shell_is_refused_in_every_format(name: str, low: float, high: float, tmp_path: Path) -> None:
    write(tmp_path / name, LAYER)
    (tmp_path / "in.yaml").write_text(INPUT.replace("NAME", name).replace("LOW", f"{low}").replace("HIGH", f"{high}"))
    with pytest.raises(InputError, match=r"r_A: found .* falls on the shell .* 2.870 \(6\), 4.700 \(2\)"):
        prepare(read_input(tmp_path / "in.yaml"))


@pytest.mark.parametrize("name", ["s.cif", "s.vasp"])
def test_a_bound_between_shells_holds_every_equivalent_pair(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, LAYER)
    (tmp_path / "in.yaml").write_text(INPUT.replace("NAME", name).replace("LOW", "0").replace("HIGH", "2.9"))
    run, _ = prepare(read_input(tmp_path / "in.yaml"))
    assert len(run.user_terms.clusters) == 3


def test_shells_of_rounded_positions_are_one() -> None:
    atoms = LAYER.copy()
    atoms.cell[1] += (1e-4, -2e-4, 0)
    lattice = layered(atoms)
    (near, far), further = shells_between(lattice, [0], [0], 4.9)[:2], on_a_shell(lattice, [0], [0], 3.8)
    assert (near.number, far.number) == (6, 2) and further is None
    assert sum(len(pairs_within(lattice, ("Na+", "Na+"), (0, r))) for r in (2.9, 4.8)) == 3 + 4


def test_near_sites_are_near_each_other_where_the_radius_falls_on_a_shell() -> None:
    """b = 1.35 a, the radius of near sites, up to rounding: every site has four neighbours or every site has two."""
    for error in (-1e-9, 0.0, 1e-9):
        atoms = Atoms("Na", cell=[3, 3 * 1.35 + error, 9], pbc=True)
        lattice = build_lattice(atoms, (Sublattice("Na", (Species("Na+", 1), Species("Va", 0))),), {})
        assert near_sites(Supercell(lattice, np.diag([3, 3, 1])), 0, 0).shape == (9, 4)
    assert past_the_shell(np.array([1.0, 2.0, 2.0004, 2.0008, 3.0]), 1.9999) == pytest.approx(2.0008, abs=1e-3)
