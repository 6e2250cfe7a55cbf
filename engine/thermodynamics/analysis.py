"""From samples to everything in results.h5, group by group."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..input.schema import AnalysisInput
from ..runtime.results import Group
from ..sampling.diagnostics import assess
from ..sampling.plan import Plan
from ..sampling.samples import Samples
from ..sampling.slots import EnsembleKind
from ..sampling.system import System
from ..sampling.tally import end_energies
from ..units import NEV_PER_EV
from .differential_capacity import differential_capacity_group
from .fit_uncertainty import Changes, add_couplings, changes
from .free_energy.canonical import canonical_group
from .free_energy.cross_checks import add_routes
from .free_energy.entropy import add_split
from .free_energy.isotherms import Isotherms, build_isotherms, spread
from .free_energy.transition_matrix import Ends, Isotherm
from .hysteresis import describe, hysteresis_group
from .observables import Observables
from .order.dilute import dilute_group
from .order.waves import order_group
from .phase_diagram.diagram import Diagram, build_diagram, diagram_group, hull_group
from .vibrations import Vibrations
from .voltage import voltage_group
from .warnings import voltage_doubt, window_doubt

Float = NDArray[np.float64]


def has_free_energies(system: System, plan: Plan) -> bool:
    """Whether counts of one ion are sampled against one another."""
    return len(system.ions) == 1 and any(s.kind is not EnsembleKind.FIXED_COMPOSITION for s in plan.slots)


def isotherms_of(
    samples: Samples, system: System, compositions: int, seed: int, vibrations: Vibrations | None = None
) -> Isotherms | None:
    """None where no end of composition has a known free energy."""
    _, log_states = system.neutral_counts
    low, high, e_low, e_high = end_energies(system)
    ends = Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))
    if not any(ends.exact):
        return None
    health = assess(samples.energy_neV.astype(float), samples.ions[..., 0].astype(float))
    return build_isotherms(samples, system, health, ends, compositions, seed, vibrations)


class Analysis:
    """One pass over the samples; `groups()` gives the groups of results.h5, `notes` what a reader should know.

    bands: once that is done, the diagram and what draws of the couplings change, where there are draws.
    """

    bands: tuple[Diagram, Isotherms, Changes] | None = None

    def __init__(
        self,
        samples: Samples,
        system: System,
        settings: AnalysisInput,
        seed: int,
        vibrations: Vibrations | None = None,
        drawn: Sequence[System] = (),
    ) -> None:
        """drawn: the system with other couplings, each as the data would have it too."""
        self.samples, self.system, self.settings, self.seed = samples, system, settings, seed
        self.vibrations, self.drawn = vibrations, drawn
        self.plan = samples.plan
        self.health = assess(samples.energy_neV.astype(float), samples.ions[..., 0].astype(float))
        self.notes: list[str] = list(self.plan.notes)

    def groups(self) -> dict[str, Group]:
        observables = Observables(self.samples, self.system, self.health)
        groups = {}
        for kind in (EnsembleKind.SEMIGRAND, EnsembleKind.VCSGC, EnsembleKind.FIXED_COMPOSITION):
            if any(s.kind is kind for s in self.plan.slots):
                groups[kind.group] = observables.group(kind)
        if has_free_energies(self.system, self.plan):
            groups |= self._thermodynamics(groups.get("semigrand"))
        if self.plan.cycles is not None:
            groups["hysteresis"] = hysteresis_group(self.plan.cycles, self.system)
            self.notes += [text] if (text := describe(groups["hysteresis"])) else []
        groups["exchange"] = observables.exchange_group()
        return groups

    def _thermodynamics(self, semigrand: Group | None) -> dict[str, Group]:
        isotherms = isotherms_of(self.samples, self.system, self.settings.compositions, self.seed, self.vibrations)
        if isotherms is None:
            self.notes.append("both ends of composition hold many states, so free energies are not anchored and not given")
            return {}
        canonical = canonical_group(isotherms, self.health, self.notes)
        add_routes(canonical, isotherms, self.samples, self.notes)
        add_split(canonical, isotherms, self.samples.splits, self.notes)
        if semigrand is not None:
            _add_reweighted(semigrand, isotherms)
            self.notes += [text] if (text := window_doubt(semigrand, canonical)) else []
        order = order_group(self.samples, self.system, self.health, canonical["x"])
        diagram = build_diagram(isotherms)
        groups = {
            "canonical": canonical,
            "order": order,
            "hull": hull_group(isotherms),
            "phase_diagram": diagram_group(diagram, canonical, order),
        }
        if self.drawn:
            self.bands = diagram, isotherms, changes(self.samples, isotherms, self.system, self.drawn)
            add_couplings(groups, *self.bands)
        if dilute := dilute_group(self.system, isotherms.temperature_K):
            groups["dilute"] = dilute
        if voltage := voltage_group(isotherms, self.settings.reference_energy_eV):
            groups["voltage"] = voltage
            self.notes += [text] if (text := voltage_doubt(voltage)) else []
            reference = float(voltage.attributes["reference_energy_eV"])
            groups["differential_capacity"] = differential_capacity_group(isotherms, reference, canonical)
        return groups


def _add_reweighted(semigrand: Group, isotherms: Isotherms) -> None:
    """Grand potential and x on the chemical potentials of /semigrand, summed over n from the free energies."""
    mu = semigrand["chemical_potential_eV"]
    names = {
        "grand_potential_eV": ("eV/fu", "grand potential, -kT/N ln of the sum over n"),
        "x_from_free_energy": ("1", "x from the free energies F(T, n)"),
    }
    if isotherms.vibrations is not None:
        semigrand.attributes["vibrations"] = "in " + " and ".join(names) + "; the chains' own means are without them"
    found: list[list[list[Float]]] = [[], []]
    for rung, c in zip(isotherms.rungs, isotherms.curves):
        values = [_grand(isotherms, i, rung, mu) for i in (c.all, *c.resampled)]
        for k in (0, 1):
            found[k].append([values[0][k], spread(np.array([v[k] for v in values[1:]]))])
    hotter = len(semigrand["temperature_K"]) - len(isotherms.rungs)  # than the vibrations are known
    unknown = [[np.full(len(mu), np.nan)] * 2] * hotter
    for (name, (unit, words)), rows in zip(names.items(), found):
        dims = ("temperature_K", "chemical_potential_eV")
        semigrand.add(name, dims, [v for v, _ in rows + unknown], unit, words, [e for _, e in rows + unknown])


def _grand(isotherms: Isotherms, c: Isotherm, rung: int, mu_eV: Float) -> tuple[Float, Float]:
    beta = isotherms.plan.ladder.beta_per_neV[rung] * NEV_PER_EV
    log_p = beta * mu_eV[:, None] * c.n - isotherms.beta_f(c, rung)
    top = log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p - top)
    total = p.sum(axis=1)
    return -(np.log(total) + top[:, 0]) / beta / isotherms.n_fu, (p @ c.n) / total / isotherms.n_fu
