"""Results that a run will not have, and why; known before it."""

from ...crystal.lattice import Supercell
from ...crystal.neutral_states import count_neutral_states
from ...crystal.subsystems import has_electrons, separable
from ...sampling.ladder.planning import ensembles_of
from ...sampling.ladder.slots import EnsembleKind
from ..shared.run import Run

FROM_FREE_ENERGIES = "no free energies along x, hence no phase diagram, voltage or split of the entropy"


def missing_results(run: Run) -> list[str]:
    """Each says what to change, where that is possible. Empty for an input that samples nothing."""
    if run.config.sampling is None:
        return []
    if reason := _no_free_energies(run):
        return [f"{FROM_FREE_ENERGIES}: {reason}"]
    return [text for text in (_no_voltage(run), _no_split(run), _no_slopes(run), _nothing_beside(run)) if text]


def _no_free_energies(run: Run) -> str | None:
    if not run.ions:
        return "no neutral exchange changes the number of ions"
    if len(run.ions) > 1:
        return f"they need one exchangeable ion, and there are {len(run.ions)} ({', '.join(run.ions)})"
    if ensembles_of(run.ions, run.config) == [EnsembleKind.FIXED_COMPOSITION]:
        return "sampling.ensemble is canonical; allowed for them: auto, semigrand, vcsgc"
    _, log_states = count_neutral_states(Supercell(run.lattice, run.matrix), run.ions[0])
    if min(log_states[0], log_states[-1]) > 1e-9:
        return "neither end of composition has a single arrangement, whose free energy is known"
    return None


def _no_voltage(run: Run) -> str | None:
    ion = run.lattice.species_named(run.ions[0])
    if ion.charge < 1:
        return f"no voltage: {ion.name} is no cation"
    if ion.element not in run.config.analysis.reference_energy_eV:
        return f"no voltage: analysis.reference_energy_eV has no {ion.element}, the energy per atom of the metal"
    return None


def _no_split(run: Run) -> str | None:
    if run.config.analysis.entropy_compositions == 0:
        return "no split of the entropy: analysis.entropy_compositions is 0"
    if not has_electrons(run.lattice) or (run.config.energy and run.config.energy.electrons == "ground_state"):
        return "no split of the entropy: no electrons are sampled"
    if not separable(run.lattice):
        return "no entropy of the ions at frozen electrons: a sublattice holds several elements and several charges of one"
    return None


def _no_slopes(run: Run) -> str | None:
    if len(run.config.sampler.temperature_K) > 1:
        return None
    return "no dV/dT, no boundaries along T: there is one temperature_K"


def _nothing_beside(run: Run) -> str | None:
    given = run.config.analysis.beside
    if given is None or (run.source.resolve(given) / "results.h5").exists():
        return None
    return f"no diagram of another run beside this one: {run.source.resolve(given)} holds no results.h5; run that input first"
