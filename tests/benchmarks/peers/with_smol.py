"""smol: canonical swaps, semigrand flips, its table exchange (TableFlip, charge neutral)."""

import time
from importlib.metadata import version

import numpy as np
from common import Job, answer, digits, fit, places, rates, read_job
from numpy.typing import NDArray
from pymatgen.core import Lattice, Species, Structure
from smol.cofe import ClusterExpansion, ClusterSubspace
from smol.cofe.space.domain import Vacancy
from smol.moca import ClusterExpansionProcessor, Ensemble, Sampler

# without the spectators the cell is neutral if all charges of iron are 3 less
SPECIES = {"Na": Species("Na", 1), "X": Vacancy(), "Fe": Species("Fe", -1), "Ga": Species("Fe", 0)}
STEPS = {"swaps": ("swap", {}), "flips": ("flip", {}), "neutral exchanges": ("table-flip", {"swap_weight": 1e-9})}


def subspace_of(job: Job) -> ClusterSubspace:
    occupancies = [{SPECIES[s]: 0.5 for s in site if s != "X"} for site in job["symbols"]]
    structure = Structure(Lattice(job["cell"]), occupancies, job["fractional"])
    cutoffs = {size: cutoff for size, cutoff in enumerate(job["cutoffs_A"], start=2)}
    return ClusterSubspace.from_cutoffs(structure, cutoffs, basis="sinusoid")


class Coder:
    """Occupations in smol's order of sites and species."""

    def __init__(self, job: Job, repeats: list[int], processor: ClusterExpansionProcessor) -> None:
        self.symbols = job["symbols"]
        self.where = places(job, repeats, processor.structure.cart_coords)
        self.allowed = processor.allowed_species

    def encode(self, occupation: str) -> NDArray[np.int32]:
        coded = np.zeros(len(self.allowed), np.int32)
        for k, d in enumerate(digits(occupation)):
            site = self.where[k]
            coded[site] = list(self.allowed[site]).index(SPECIES[self.symbols[k % len(self.symbols)][d]])
        return coded


def expansion_of(job: Job) -> ClusterExpansion:
    subspace, training = subspace_of(job), job["training"]
    processor = ClusterExpansionProcessor(subspace, np.diag(training["repeats"]), np.ones(len(subspace)))
    coder = Coder(job, training["repeats"], processor)
    features = np.array([processor.compute_feature_vector(coder.encode(o)) for o in training["occupations"]])
    return ClusterExpansion(subspace, fit(features, training["energies_eV"]))


def sampler_of(ensemble: Ensemble, temperature_K: float, move: str) -> Sampler:
    step, options = STEPS[move]
    return Sampler.from_ensemble(ensemble, temperature=temperature_K, step_type=step, nwalkers=1, seeds=[1], **options)


def timed(job: Job, ensemble: Ensemble, temperature_K: float, move: str, start: NDArray[np.int32]) -> list[float]:
    sampler, states = sampler_of(ensemble, temperature_K, move), [start[None]]

    def run(steps: int) -> None:
        sampler.clear_samples()
        sampler.run(steps, initial_occupancies=states.pop(), thin_by=steps)
        states.append(sampler.samples.get_occupancies(flat=False)[-1])

    return rates(job, run)


def main() -> None:
    job = read_job()
    expansion = expansion_of(job)
    for size in job["sizes"]:
        begin = time.perf_counter()
        canonical = Ensemble.from_cluster_expansion(expansion, np.diag(size["repeats"]))
        setup_s = time.perf_counter() - begin
        open_ensemble = Ensemble(canonical.processor, chemical_potentials=dict.fromkeys(SPECIES.values(), 0.0))
        coder = Coder(job, size["repeats"], canonical.processor)
        energies = [float(canonical.processor.compute_property(coder.encode(o))) for o in size["occupations"]]
        found = {}
        for run in size["runs"]:
            start, temperature_K = coder.encode(run["occupation"]), run["temperature_K"]
            found[run["name"]] = {
                move: timed(job, canonical if move == "swaps" else open_ensemble, temperature_K, move, start) for move in STEPS
            }
        answer("smol " + version("smol"), size, setup_s, energies, found)


if __name__ == "__main__":
    main()
