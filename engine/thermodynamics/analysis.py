"""From samples to the groups of results.h5."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..input.schema import AnalysisInput
from ..runtime.results import Attributes, Results
from ..runtime.results.canonical import Canonical
from ..runtime.results.replicas import Semigrand
from ..sampling.chains.system import System
from ..sampling.chains.tally import end_energies
from ..sampling.diagnostics import Convergence
from ..sampling.ladder.plan import Plan
from ..sampling.ladder.slots import EnsembleKind
from ..sampling.samples import Samples, convergence_of
from .differential_capacity import differential_capacity_group
from .exchange import exchange_group
from .fit_uncertainty import FitUncertainty, changes, with_fit_uncertainty
from .free_energy.canonical import canonical_group
from .free_energy.cross_checks import cross_checks
from .free_energy.entropy import with_entropy_split
from .free_energy.isotherms import Isotherms, build_isotherms
from .free_energy.transition_matrix import Ends
from .free_energy.trust import with_checks
from .grand_potential import with_grand_potential
from .hysteresis import hysteresis_group, hysteresis_note
from .observables import replica_group
from .order.dilute import dilute_group
from .order.group import order_group
from .phase_diagram.diagram import ALONE, Beside, build_diagram
from .phase_diagram.group import diagram_group, hull_group
from .phase_diagram.trusted import trusted_part
from .vibrations import Vibrations
from .voltage import voltage_group
from .warnings import chemical_potential_warning, voltage_warning

NO_FREE_ENERGIES = "both ends of composition have many states: free energies have no reference and are not given"


@dataclass(frozen=True)
class Analysis:
    """Groups of results.h5 that follow from the samples; notes for the report.

    isotherms: if there are free energies. fit_uncertainty: where there are draws.
    """

    results: Results
    notes: tuple[str, ...]
    isotherms: Isotherms | None = None
    fit_uncertainty: FitUncertainty | None = None


def has_free_energies(system: System, plan: Plan) -> bool:
    """Whether one ion is exchanged, so that its counts are sampled relative to one another."""
    return len(system.ions) == 1 and any(s.kind is not EnsembleKind.FIXED_COMPOSITION for s in plan.slots)


def isotherms_of(
    samples: Samples, system: System, compositions: int, seed: int, vibrations: Vibrations | None = None
) -> Isotherms | None:
    """F(T, n) from the samples; None where no end of composition has a known free energy."""
    _, log_states = system.neutral_counts
    low, high, e_low, e_high = end_energies(system)
    ends = Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))
    if not any(ends.exact):
        return None
    return build_isotherms(samples, system, convergence_of(samples), ends, compositions, seed, vibrations)


def analyse_samples(
    samples: Samples,
    system: System,
    settings: AnalysisInput,
    seed: int,
    vibrations: Vibrations | None = None,
    drawn: Sequence[System] = (),
    beside: Beside = ALONE,
) -> Analysis:
    """All groups that follow from the samples of one cell.

    drawn: the system with other effective cluster interactions. beside: what else the phase diagram rests on.
    """
    convergence, plan = convergence_of(samples), samples.plan
    kinds = [kind for kind in EnsembleKind if any(s.kind is kind for s in plan.slots)]
    replicas: dict[str, Any] = {kind.group: replica_group(kind, samples, system, convergence) for kind in kinds}
    cycles = hysteresis_group(plan.cycles, system) if plan.cycles is not None else None
    results = Results(Attributes(), exchange=exchange_group(samples), hysteresis=cycles, **replicas)
    analysis = Analysis(results, plan.notes)
    if has_free_energies(system, plan):
        isotherms = isotherms_of(samples, system, settings.compositions, seed, vibrations)
        analysis = (
            replace(analysis, notes=(*plan.notes, NO_FREE_ENERGIES))
            if isotherms is None
            else _with_free_energies(analysis, samples, isotherms, convergence, settings.reference_energy_eV, drawn, beside)
        )
    return replace(analysis, notes=(*analysis.notes, *_known(hysteresis_note(cycles) if cycles else None)))


def _with_free_energies(
    analysis: Analysis,
    samples: Samples,
    isotherms: Isotherms,
    convergence: Convergence,
    reference_energy_eV: dict[str, float],
    drawn: Sequence[System],
    beside: Beside,
) -> Analysis:
    """The analysis with all that follows from F(T, n)."""
    system, uncertainty = isotherms.system, None
    canonical, semigrand, notes = free_energies(samples, isotherms, convergence, analysis.results.semigrand)
    order = order_group(samples, system, convergence, canonical.x)
    diagram = build_diagram(isotherms, beside)
    kept = trusted_part(diagram, canonical)
    phase_diagram = diagram_group(diagram, kept, canonical, order)
    if drawn:
        uncertainty = FitUncertainty(kept.diagram, isotherms, changes(samples, isotherms, system, drawn))
        canonical, phase_diagram = with_fit_uncertainty(canonical, phase_diagram, uncertainty)
    voltage = voltage_group(isotherms, kept.diagram, reference_energy_eV, canonical.trusted)
    reference_eV = voltage.reference_energy_eV if voltage else 0.0
    capacity = differential_capacity_group(isotherms, kept.diagram, reference_eV, canonical.trusted) if voltage else None
    results = replace(
        analysis.results,
        semigrand=semigrand,
        canonical=canonical,
        order=order,
        hull=hull_group(isotherms, canonical.trusted),
        phase_diagram=phase_diagram,
        dilute=dilute_group(system, isotherms.temperature_K),
        voltage=voltage,
        differential_capacity=capacity,
    )
    warnings = _known(
        chemical_potential_warning(semigrand, canonical) if semigrand else None, voltage_warning(voltage) if voltage else None
    )
    return Analysis(results, (*analysis.notes, *notes, *warnings), isotherms, uncertainty)


def free_energies(
    samples: Samples, isotherms: Isotherms, convergence: Convergence, semigrand: Semigrand | None
) -> tuple[Canonical, Semigrand | None, list[str]]:
    """/canonical with its cross-checks and split entropies, /semigrand with the grand potential, and notes."""
    canonical, notes = canonical_group(isotherms, convergence)
    checks, of_checks = cross_checks(canonical, isotherms, samples, convergence)
    canonical, of_split = with_entropy_split(with_checks(canonical, checks), isotherms, samples.splits)
    if semigrand is not None:
        semigrand = with_grand_potential(semigrand, isotherms, canonical.trusted)
    return canonical, semigrand, [*notes, *of_checks, *of_split]


def _known(*notes: str | None) -> list[str]:
    return [note for note in notes if note]
