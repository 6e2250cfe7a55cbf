"""icet's mchammer: canonical swaps, semigrand flips."""

import time
from importlib.metadata import version

import numpy as np
from ase import Atoms
from common import Job, answer, fit, positions, rates, read_job, symbols_of
from icet import ClusterExpansion, ClusterSpace
from mchammer.calculators import ClusterExpansionCalculator
from mchammer.ensembles import CanonicalEnsemble, SemiGrandCanonicalEnsemble

NEVER = 10**12  # steps between records


def atoms_of(job: Job, repeats: list[int], occupation: str) -> Atoms:
    cell = np.array(job["cell"]) * np.array(repeats)[:, None]
    return Atoms(symbols_of(job, occupation), positions=positions(job, repeats), cell=cell, pbc=True)


def expansion_of(job: Job) -> ClusterExpansion:
    """Of the energy per site, which is what mchammer expects."""
    primitive = Atoms([s[0] for s in job["symbols"]], cell=job["cell"], scaled_positions=job["fractional"], pbc=True)
    space = ClusterSpace(primitive, job["cutoffs_A"], job["symbols"])
    training = job["training"]
    features = np.array([space.get_cluster_vector(atoms_of(job, training["repeats"], o)) for o in training["occupations"]])
    return ClusterExpansion(space, fit(features * len(training["occupations"][0]), training["energies_eV"]))


def main() -> None:
    job = read_job()
    expansion = expansion_of(job)
    elements = {s for site in job["symbols"] for s in site}
    for size in job["sizes"]:
        begin = time.perf_counter()
        calculator = ClusterExpansionCalculator(atoms_of(job, size["repeats"], size["occupations"][0]), expansion)
        setup_s = time.perf_counter() - begin
        numbers = [atoms_of(job, size["repeats"], o).numbers for o in size["occupations"]]
        energies = [float(calculator.calculate_total(occupations=n)) for n in numbers]
        found = {}
        for run in size["runs"]:
            atoms = atoms_of(job, size["repeats"], run["occupation"])
            options = {
                "temperature": run["temperature_K"],
                "random_seed": 1,
                "ensemble_data_write_interval": NEVER,
                "trajectory_write_interval": NEVER,
            }
            swaps = CanonicalEnsemble(atoms, calculator, **options)
            mu = dict.fromkeys(elements, 0.0)
            flips = SemiGrandCanonicalEnsemble(atoms, calculator, chemical_potentials=mu, **options)
            found[run["name"]] = {"swaps": rates(job, swaps.run), "flips": rates(job, flips.run)}
        answer("icet " + version("icet"), size, setup_s, energies, found)


if __name__ == "__main__":
    main()
