"""CASM's clexmonte: canonical swaps, semigrand flips, semigrand pairs of flips that keep the charge.

It needs g++ for its basis set.
"""

import json
import os
import tempfile
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import libcasm.clexmonte as clexmonte
import libcasm.configuration as configuration
import libcasm.monte.sampling as sampling
import libcasm.xtal as xtal
import numpy as np
from casm.bset import make_clex_basis_specs, write_clexulator
from common import Job, Rates, answer, digits, fit, places, rates, read_job
from libcasm.clexulator import Correlations, SuperNeighborList, make_clexulator
from libcasm.composition import CompositionConverter

NAMES = {"Na": "Na", "X": "Va", "Fe": "Fe", "Ga": "Ga"}
ORBIT = {"Na": 0, "Va": 0, "Fe": 1, "Ga": 1}  # sites that symmetry makes equal, in CASM's numbers
NEUTRAL = ((("Na", "Va"), ("Fe", "Ga")), (("Va", "Na"), ("Ga", "Fe")))  # an ion leaves and takes its electron along; its reverse
METHODS = {  # move: method of CASM, conditions, pairs of flips in place of single ones
    "swaps": ("canonical", {}, False),
    "flips": ("semigrand_canonical", {"param_chem_pot": [0.0, 0.0]}, False),
    "neutral exchanges": ("semigrand_canonical", {"param_chem_pot": [0.0, 0.0]}, True),
}


def prim_of(job: Job) -> xtal.Prim:
    lattice = xtal.Lattice(np.array(job["cell"]).T)
    allowed = [[NAMES[s] for s in site] for site in job["symbols"]]
    return xtal.Prim(lattice, np.array(job["fractional"]).T, allowed, title="olivine")


def supercell_of(prim: configuration.Prim, repeats: list[int]) -> configuration.Supercell:
    return configuration.Supercell(prim, np.diag(repeats))


def occupy(job: Job, repeats: list[int], prim: configuration.Prim, occupation: str) -> configuration.Configuration:
    supercell = supercell_of(prim, repeats)
    found = configuration.Configuration(supercell)
    numbers = np.zeros(supercell.n_sites, int)
    numbers[places(job, repeats, np.array(supercell.coordinate_cart()).T)] = digits(occupation)
    found.set_occupation(numbers)
    return found


class Expansion:
    """Clexulator, compiled in the folder, and the couplings of its functions."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.prim = configuration.Prim(prim_of(job))
        specs = make_clex_basis_specs(
            self.prim, max_length=[0.0, 0.0, *job["cutoffs_A"]], occ_site_basis_functions_specs="chebychev"
        )
        source, _, neighbours = write_clexulator(self.prim, specs, bset_dir=folder, project_name="olivine", verbose=False)
        self.source, self.neighbours = source, neighbours
        self.clexulator = make_clexulator(source=str(source), prim_neighbor_list=neighbours)
        training = job["training"]
        features = [self.features(job, training["repeats"], o) for o in training["occupations"]]
        self.couplings = fit(np.array(features), training["energies_eV"])

    def features(self, job: Job, repeats: list[int], occupation: str) -> np.ndarray:
        found = occupy(job, repeats, self.prim, occupation)
        neighbours = SuperNeighborList(np.diag(repeats), self.neighbours)
        return Correlations(neighbours, self.clexulator, found.dof_values).per_supercell()

    def system(self, folder: Path, neutral: bool) -> clexmonte.System:
        """Of the prim's own species; neutral: pairs of flips in place of single ones."""
        components = [NAMES[s] for s in NAMES]
        origin, without_ion, oxidised = [4, 0, 4, 0], [3, 1, 4, 0], [4, 0, 3, 1]
        axes = CompositionConverter(components, np.array([origin, without_ion, oxidised]).T)
        nonzero = np.flatnonzero(np.abs(self.couplings) > 1e-12)
        coefficients = [[int(k), float(self.couplings[k])] for k in nonzero]
        (folder / "eci.json").write_text(json.dumps(coefficients))
        data: dict[str, Any] = {
            "prim": self.prim.xtal_prim.to_dict(),
            "composition_axes": axes.to_dict(),
            "basis_sets": {"olivine": {"source": str(self.source)}},
            "clex": {"formation_energy": {"basis_set": "olivine", "coefficients": str(folder / "eci.json")}},
        }
        if neutral:
            data["semigrand_canonical_swaps"] = []
            data["semigrand_canonical_multiswaps"] = [[_flip(*flip) for flip in flips] for flips in NEUTRAL]
        with redirect_stdout(StringIO()):
            return clexmonte.System.from_dict(data)


def _flip(old: str, new: str) -> dict[str, Any]:
    return {"count": 1, "swap": [{"asym": ORBIT[s], "spec": s} for s in (old, new)]}


def fixture(calculator: clexmonte.MonteCalculator, steps: int, folder: Path) -> clexmonte.SamplingFixtureParams:
    """So many steps, then one sample, without which they would never end."""
    by_step = sampling.SamplingParams(sampler_names=["potential_energy"], sample_mode=sampling.SAMPLE_MODE.BY_STEP, period=steps)
    enough = sampling.CompletionCheckParams(cutoff_params=sampling.CutoffCheckParams(max_sample=1), check_begin=1, check_period=1)
    return clexmonte.SamplingFixtureParams(
        "timed", calculator.sampling_functions, calculator.json_sampling_functions, calculator.analysis_functions,
        by_step, enough, write_results=False, write_status=False, output_dir=str(folder),
    )  # fmt: skip


Ready = tuple[clexmonte.MonteCalculator, clexmonte.MonteCarloState]


def ready(job: Job, size: Job, temperature_K: float, occupation: str, move: str, expansion: Expansion, folder: Path) -> Ready:
    method, conditions, neutral = METHODS[move]
    system = expansion.system(folder, neutral)
    start = occupy(job, size["repeats"], system.prim, occupation)
    state = clexmonte.MonteCarloState(start, {"temperature": temperature_K, **conditions})
    if method == "canonical":
        counts = system.composition_calculator.mean_num_each_component(state.configuration.occupation)
        state.conditions.vector_values["mol_composition"] = counts
    return clexmonte.MonteCalculator(method=method, system=system), state


def take(steps: int, calculator: clexmonte.MonteCalculator, state: clexmonte.MonteCarloState, folder: Path) -> None:
    calculator.run_fixture(state, fixture(calculator, steps, folder))


def main() -> None:
    job = read_job()
    os.environ.setdefault("CASM_PREFIX", str(Path(clexmonte.__file__).parents[1]))
    os.environ.setdefault("CASM_SOFLAGS", "-shared -Wl,--no-as-needed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expansion = Expansion(job, folder)
        for size in job["sizes"]:
            begin = time.perf_counter()
            take(1, *ready(job, size, 600.0, size["occupations"][0], "swaps", expansion, folder), folder)
            setup_s = time.perf_counter() - begin  # the compilation is not in it
            energies = []
            for occupation in size["occupations"]:
                calculator, state = ready(job, size, 600.0, occupation, "swaps", expansion, folder)
                energies.append(float(clexmonte.MontePotential(calculator=calculator, state=state).per_supercell()))
            found: dict[str, Rates] = {run["name"]: {} for run in size["runs"]}
            for run in size["runs"]:
                for move in METHODS:
                    calculator, state = ready(job, size, run["temperature_K"], run["occupation"], move, expansion, folder)
                    found[run["name"]][move] = rates(job, lambda n, c=calculator, s=state: take(n, c, s, folder))
            answer("libcasm-clexmonte " + version("libcasm-clexmonte"), size, setup_s, energies, found)


if __name__ == "__main__":
    main()
