"""Steps in count and in temperature together, where the free energy is known."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from redoxmc.engine.thermodynamics.free_energy.least_squares import least_squares
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Curves, Ends, Isotherm, anchored

Float = NDArray[np.float64]
SITES = 60
N = np.arange(SITES + 1)
LOG_STATES = gammaln(SITES + 1) - gammaln(N + 1) - gammaln(SITES - N + 1)
DEPTH = 40.0 * N * (SITES - N) / SITES**2  # energy lost by the upper of two levels, whose degeneracy is 30 times the lower's
END = 5
ENDS = Ends(0, SITES, (0.0, 0.0), (0, END * SITES))
BETAS = np.linspace(1.2, 0.3, 13)
RESAMPLES = 60


def exact(beta: float) -> tuple[Float, Float, Float]:
    """beta F, U and the variance: the states of every count lie at two levels, which makes a peak of the heat capacity."""
    share = 30 * np.exp(-beta * DEPTH)
    log_z = LOG_STATES + np.log((1 + share) / 31)
    upper = share / (1 + share)
    return beta * END * N - log_z, END * N + upper * DEPTH, upper * (1 - upper) * DEPTH**2


def ladder(
    rng: np.random.Generator, betas: Float, step_error: float, energy_error: float, broken: Float | None = None
) -> list[Curves]:
    """Chance of its own at every rung and count; resamples about what was measured. broken (n-1,): added to the ratios,
    without any scatter.
    """

    def noisy(steps: Float, energy: Float) -> tuple[Float, Float]:
        inside = (N > 0) & (N < SITES)
        return steps + step_error * rng.normal(size=SITES), energy + energy_error * inside * rng.normal(size=SITES + 1)

    def whole(steps: Float, energy: Float, variance: Float) -> Isotherm:
        beta_f, closure = anchored(steps, beta, ENDS)
        return Isotherm(N, steps, beta_f, beta_f, closure, np.zeros(len(N), bool), energy, variance, np.ones(len(N)))

    found = []
    for beta in betas:
        beta_f, energy, variance = exact(beta)
        steps, energy = noisy(np.diff(beta_f) + (0 if broken is None else broken), energy)
        resampled = [whole(*noisy(steps, energy), variance) for _ in range(RESAMPLES)]
        found.append(Curves(whole(steps, energy, variance), resampled, resampled[0], resampled[1], 100))
    return found


def with_more(c: Isotherm, added: Float, beta: float, **changes: Float) -> Isotherm:
    """With this added to its steps (n-1,)."""
    beta_f, closure = anchored(c.steps + added, beta, ENDS)
    return replace(c, steps=c.steps + added, beta_f=beta_f, transition_matrix_beta_f=beta_f, closure=closure, **changes)


def misses(curves: list[Curves], betas: Float) -> tuple[Float, Float]:
    """What beta F misses and its error, (rungs, n) without the ends."""
    value = np.array([c.all.beta_f - exact(b)[0] for c, b in zip(curves, betas)])
    error = np.array([np.std([r.beta_f for r in c.resampled], axis=0, ddof=1) for c in curves])
    return value[:, 1:-1], error[:, 1:-1]


def test_error_bars_are_those_of_independent_repeats() -> None:
    rng = np.random.default_rng(1)
    found = [misses(least_squares(ladder(rng, BETAS, 0.05, 0.05), BETAS, ENDS, LOG_STATES, k), BETAS) for k in range(40)]
    value, error = (np.array(v) for v in zip(*found))
    # the resamples scatter as the repeats do but are drawn about a measurement: their errors are those of one measurement
    z = np.sqrt((value**2).mean(axis=0) / (error**2).mean(axis=0))  # of 40 repeats: 1 +- 0.11
    assert 0.9 < np.sqrt((z**2).mean()) < 1.1 and z.max() < 1.6
    bias = value.mean(axis=0) / np.sqrt((error**2).mean(axis=0) / len(found))
    assert np.abs(bias).max() < 4.5 and np.sqrt((bias**2).mean()) < 1.25


def test_both_together_are_better_than_the_ratios_alone() -> None:
    found = least_squares(ladder(np.random.default_rng(2), BETAS, 0.05, 0.05), BETAS, ENDS, LOG_STATES, 0)
    _, error = misses(found, BETAS)
    alone = np.array([np.std([r.transition_matrix_beta_f for r in c.resampled], axis=0, ddof=1) for c in found])[:, 1:-1]
    assert np.median(alone / error) > 2


def test_a_transition_that_the_ratios_miss_at_low_temperature() -> None:
    """Three steps of the four coldest rungs are 1 kT each too high and always alike, as of walkers that never cross."""
    rng = np.random.default_rng(3)
    stuck = np.zeros(SITES)
    stuck[30:33] = 1.0
    cold = ladder(rng, BETAS[:4], 0.05, 0.05, stuck)
    found = least_squares([*cold, *ladder(rng, BETAS[4:], 0.05, 0.05)], BETAS, ENDS, LOG_STATES, 0)
    value, error = misses(found, BETAS)
    alone = max(np.abs(c.all.transition_matrix_beta_f - exact(b)[0]).max() for c, b in zip(found, BETAS))
    assert alone > 1.2 and error.max() < 0.15
    assert np.abs(value).max() < 0.25 and (np.abs(value) < 3.5 * error).all()


def test_rungs_far_apart_have_the_error_of_the_rule_in_theirs() -> None:
    """The levels cross between rungs; with no chance in the energies, what is wrong is the rule alone."""
    for number in (3, 4, 5, 7):
        betas = np.linspace(1.2, 0.05, number)
        value, error = misses(
            least_squares(ladder(np.random.default_rng(number), betas, 0.3, 1e-6), betas, ENDS, LOG_STATES, 0), betas
        )
        assert (np.abs(value) < 5 * error).all(), number
        assert np.median(error) < 1.5


def test_one_rung_puts_the_closure_where_the_ratios_are_uncertain() -> None:
    curves = ladder(np.random.default_rng(4), BETAS[:1], 1e-5, 0.05)
    off = np.zeros(SITES)
    off[20] = 0.8
    noise = np.random.default_rng(5).normal(size=RESAMPLES)

    def shifted(c: Isotherm, by: float) -> Isotherm:
        return with_more(c, off * by, BETAS[0])

    c = curves[0]
    found = least_squares([replace(c, all=shifted(c.all, 1.0), resampled=[shifted(r, 1 + z) for r, z in zip(c.resampled,
        noise)])],
                   BETAS[:1], ENDS, LOG_STATES, 0)  # fmt: skip
    value, _ = misses(found, BETAS[:1])
    assert np.abs(value).max() < 0.01 < 0.2 < np.abs(found[0].all.transition_matrix_beta_f - exact(BETAS[0])[0]).max()


def test_what_was_not_seen_is_bridged_by_hotter_rungs_or_stays_marked() -> None:
    curves = ladder(np.random.default_rng(6), BETAS, 0.05, 0.05)

    def unseen(c: Curves, at: int, energy_known: bool) -> Curves:
        def one(i: Isotherm) -> Isotherm:
            taken, energy = i.from_annealing.copy(), i.energy_neV.copy()
            taken[at] = True
            if not energy_known:
                energy[at] = np.nan
            off = np.where(np.arange(SITES) == at, 3.0, 0.0)  # the annealing is off by 3 kT
            return with_more(i, off, BETAS[0], from_annealing=taken, energy_neV=energy)

        return Curves(one(c.all), [one(r) for r in c.resampled], one(c.up), one(c.down), c.units)

    for energy_known in (True, False):
        found = least_squares([unseen(curves[0], 25, energy_known), *curves[1:]], BETAS, ENDS, LOG_STATES, 0)
        value, _ = misses(found, BETAS)
        assert np.abs(value[0]).max() < 0.2
        assert found[0].all.from_annealing[25] != energy_known and not found[1].all.from_annealing.any()


def test_an_infinite_temperature_is_exact() -> None:
    betas = np.append(BETAS, 0.0)
    found = least_squares(ladder(np.random.default_rng(7), betas, 0.05, 0.05), betas, ENDS, LOG_STATES, 0)
    assert np.array_equal(found[-1].all.beta_f[1:-1], -LOG_STATES[1:-1])


def test_what_the_ratios_missed_is_in_the_errors() -> None:
    """The same chance with and without steps that are 1 kT off at the cold rungs: what these still pull F by is in the errors
    there.
    """
    stuck = np.zeros(SITES)
    stuck[30:33] = 1.0
    found = []
    for broken in (None, stuck):
        rng = np.random.default_rng(3)
        cold = ladder(rng, BETAS[:4], 0.05, 0.05, broken)
        found.append(misses(least_squares([*cold, *ladder(rng, BETAS[4:], 0.05, 0.05)], BETAS, ENDS, LOG_STATES, 0), BETAS))
    (sound, sound_error), (pulled, error) = found
    pull = np.abs(pulled - sound)[:4, 20:40].mean()
    assert pull < 0.02
    assert np.sqrt(np.maximum((error**2 - sound_error**2)[:4, 20:40].mean(), 0)) > 0.6 * pull
