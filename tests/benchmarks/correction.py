"""Calls of the potential for an effective sample: the expansion proposing, and single moves.

    python tests/benchmarks/correction.py outputs/nafepo4/cluster_expansion.ce \\
        [--cell 1 2 1] [--temperature 500] [--folder FOLDER]

NaFePO4 at x = 1/2 and fixed counts, the shipped MACE relaxing every arrangement (kept in FOLDER, so that a second run is fast). A
call is a new arrangement whose energy was asked for, whether it was known already or not.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from icet import ClusterExpansion

from redoxmc.engine.correction.corrected import Corrected, EnergyOf, advance_corrected, tuned_stretch
from redoxmc.engine.correction.energies import relaxed_energies
from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.input.schema import RelaxationInput
from redoxmc.engine.potentials.labelling.relaxations import Relaxations
from redoxmc.engine.potentials.labels import labels_of
from redoxmc.engine.potentials.potential import load_potential
from redoxmc.engine.runtime.hashes import file_hash
from redoxmc.engine.sampling.chains.chain import advance, ensemble_by_count, start_chain
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.diagnostics import autocorrelation_time
from redoxmc.engine.units import inverse_temperature
from redoxmc.kernels.random import new_stream

ROOT = Path(__file__).resolve().parents[2]
SODIUM = Sublattice("Na", (Species("Na+", 1), Species("Va", 0)))
IRON = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Ga")))


def measure(
    system: System, proposer: System, energy_of: EnergyOf, temperature_K: float, proposals: int, stretch: int | None, seed: int
) -> dict[str, float]:
    """Calls, effective samples of the potential's energy, acceptance, length of the stretch."""
    ensemble = ensemble_by_count(proposer, inverse_temperature(temperature_K), np.zeros(len(empty_tally(proposer).sums)))
    species = random_neutral_state(system.supercell, "Na+", sum(system.n_range) // 2, np.random.default_rng(seed))
    start = start_chain(system, species, new_stream(seed, 0))
    advance(start, system, system.canonical_moves, ensemble, empty_tally(system), 2000)  # the expansion's, for a sound start
    state = Corrected(start_chain(proposer, start.species, new_stream(seed, 1)), energy_of(start.species))
    moves = proposer.canonical_moves
    length = stretch or tuned_stretch(state, proposer, moves, ensemble, energy_of, proposals // 4)
    advance_corrected(state, proposer, moves, ensemble, energy_of, length, proposals // 4)
    record = advance_corrected(state, proposer, moves, ensemble, energy_of, length, proposals)
    tau = float(autocorrelation_time(record.potential_eV[None])[0])
    mean = float(record.potential_eV.mean())
    error = float(record.potential_eV.std() * np.sqrt(tau / proposals))
    return {
        "calls": int(record.asked.sum()),
        "effective_samples": proposals / tau,
        "calls_each": record.asked.sum() * tau / proposals,
        "acceptance": record.acceptance,
        "stretch": length,
        "energy_eV": mean,
        "energy_eV_error": error,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expansion", type=Path)
    parser.add_argument("--cell", type=int, nargs=3, default=[1, 2, 1])
    parser.add_argument("--temperature", type=float, default=500.0)
    parser.add_argument("--proposals", type=int, default=2000, help="of the expansion; single moves: forty times as many")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs/relaxations")
    parser.add_argument("--json", type=Path, default=Path("correction.json"))
    given = parser.parse_args()
    atoms = read_structure(ROOT / "inputs/structures/NaFePO4.cif")
    lattice = build_lattice(atoms, (SODIUM, IRON), {"P": 5, "O": -2})
    cell = np.diag(given.cell)
    system = build_system(from_icet(ClusterExpansion.read(str(given.expansion)), lattice), cell, ("Na+",))
    nothing = build_system(Hamiltonian(lattice, ()), cell, ("Na+",))
    weights = ROOT / "inputs/nafepo4/mace.model"
    store = Relaxations(given.folder, lattice, RelaxationInput(), file_hash(weights)[:16])
    energies = relaxed_energies(system.supercell, store, lambda: load_potential("mace", weights, labels_of(lattice)))
    found = {}
    for name, proposer, proposals, stretch in (
        ("corrected", system, given.proposals, None),
        ("direct", nothing, 40 * given.proposals, 1),
    ):
        rows = [measure(system, proposer, energies, given.temperature, proposals, stretch, seed) for seed in (1, 2)]
        found[name] = rows
        for row in rows:
            print(name, {k: round(v, 4) for k, v in row.items()}, flush=True)
        print(f"{len(energies.known)} arrangements relaxed", flush=True)
    each = {name: float(np.mean([row["calls_each"] for row in rows])) for name, rows in found.items()}
    print(f"calls each: {each}; direct over corrected: {each['direct'] / each['corrected']:.1f}")
    given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
