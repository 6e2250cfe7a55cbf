"""Fit of the effective cluster interactions (ECIs) to a charge-labelled data set, with errors and uncertainty."""

import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from ..crystal.lattice import Lattice
from ..potentials.dataset import DataSet
from ..runtime.streams import ANY_SEED, Stream, generator, library_seed

if TYPE_CHECKING:
    from icet import ClusterExpansion, ClusterSpace  # slow to import

RANK_TOLERANCE = 1e-6
ROUNDING = 1e-10
DRAWS = 40
OUTLIER_SIGMAS = 4.0
LEAST_CELLS = 10  # among which an outlier can be told


@dataclass(frozen=True)
class Fit:
    """Effective cluster interactions and errors of a fit; all energies are in eV per formula unit.

    parameters (p,): ECIs of icet, constant first. draws (DRAWS, p): ECIs of fits to bootstrap samples, whose scatter is the fit
    uncertainty. reference_eV, fitted_eV (cells,): energies of the data and of the fit. left_out_eV (cells,): prediction for
    each cell by the fit of the fold that does not contain it. fold_rmse_eV (folds,): errors of the held-out folds. is_end
    (cells,): cells at the ends of composition, which every fit reproduces exactly and which therefore test none.
    leave_one_out_eV (cells,): prediction minus energy of each cell by a fit without it: exact, from the hat matrix, for least
    squares, otherwise from the fold that does not contain it; nan at the ends. spread_eV: standard deviation of what the ends,
    the constant and the points leave to be fitted.
    """

    parameters: NDArray[np.float64]
    draws: NDArray[np.float64]
    reference_eV: NDArray[np.float64]
    fitted_eV: NDArray[np.float64]
    left_out_eV: NDArray[np.float64]
    fold_rmse_eV: NDArray[np.float64]
    is_end: NDArray[np.bool_]
    leave_one_out_eV: NDArray[np.float64]
    spread_eV: float

    @property
    def rmse_eV(self) -> float:
        """Root-mean-square error of the fit."""
        return float(np.sqrt(np.mean((self.fitted_eV - self.reference_eV) ** 2)))

    @property
    def validation_rmse_eV(self) -> float:
        """Root-mean-square error of the predictions for held-out cells, without the ends of composition."""
        return float(np.sqrt(np.mean((self.left_out_eV - self.reference_eV)[~self.is_end] ** 2)))

    @property
    def validation_spread_eV(self) -> float:
        """Standard deviation of the validation error over the folds."""
        return float(np.std(self.fold_rmse_eV, ddof=1))

    def outliers(self) -> dict[int, float]:
        """Cells whose leave-one-out error is beyond OUTLIER_SIGMAS times that of the other cells: number → ratio."""
        rest, found = np.isfinite(self.leave_one_out_eV), {}
        squared = np.where(rest, self.leave_one_out_eV, 0) ** 2
        while rest.sum() > LEAST_CELLS:
            mean_of_others = (squared[rest].sum() - squared) / (rest.sum() - 1)
            ratio = np.sqrt(np.where(rest, squared, 0) / np.maximum(mean_of_others, ROUNDING**2))
            worst = int(np.argmax(ratio))
            if ratio[worst] <= OUTLIER_SIGMAS:
                break
            found[worst] = float(ratio[worst])
            rest[worst] = False
        return found


def cluster_vectors(space: "ClusterSpace", data: DataSet) -> NDArray[np.float64]:
    """Cluster vectors (cells, parameters) of the data."""
    return np.array([space.get_cluster_vector(cell) for cell in data.cells])


def neutrality_null_vector(space: "ClusterSpace", lattice: Lattice) -> NDArray[np.float64]:
    """The ECIs (p,), up to a factor, that predict the charge of a configuration, which is zero for all neutral ones.

    Adding any multiple of them to the ECIs changes no prediction. Only the constant and the points are nonzero; they are
    determined by least squares from the charges of random configurations.
    """
    points = [i for i, row in enumerate(space.as_list) if row["order"] <= 1]
    samples, charges = [], []
    rng = generator(ANY_SEED, Stream.NEUTRALITY)
    for _ in range(4 * len(points)):
        atoms = lattice.atoms.copy()
        charge = lattice.spectator_charge
        symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
        for atom, g in zip(lattice.site_atom, lattice.site_sublattice):
            choice = lattice.sublattices[g].species[rng.integers(len(lattice.sublattices[g].species))]
            symbols[atom] = choice.symbol
            charge += choice.charge
        atoms.set_chemical_symbols(symbols.tolist())
        samples.append(space.get_cluster_vector(atoms)[points])
        charges.append(charge / lattice.n_formula_units)
    null = np.zeros(len(space))
    null[points] = np.linalg.lstsq(np.array(samples), np.array(charges), rcond=None)[0]
    null[np.abs(null) < 1e-10] = 0.0
    return null


def end_vectors(space: "ClusterSpace", lattice: Lattice) -> NDArray[np.float64]:
    """Cluster vectors (ends, parameters) of the neutral configurations in which every sublattice holds a single species."""
    vectors = []
    for held in product(*(s.species for s in lattice.sublattices)):
        charge = sum(sp.charge * n for sp, n in zip(held, lattice.sites_per_sublattice.tolist()))
        if charge + lattice.spectator_charge:
            continue
        atoms = lattice.atoms.copy()
        symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
        symbols[lattice.site_atom] = [held[g].symbol for g in lattice.site_sublattice]
        atoms.set_chemical_symbols(symbols.tolist())
        vectors.append(space.get_cluster_vector(atoms))
    return np.array(vectors).reshape(-1, len(space))


def undetermined_directions(vectors: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal combinations (k, p) of ECIs that the cells do not determine, beyond what neutrality makes equivalent.

    vectors (cells, p): cluster vectors. null (p,): the neutrality null vector.
    """
    norm = np.linalg.norm(null)
    projector = np.eye(len(null)) - (np.outer(null, null) / norm**2 if norm else 0)
    _, singular, right = np.linalg.svd(vectors @ projector, full_matrices=True)
    rank = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
    kernel = right[rank:] @ projector
    return np.asarray(kernel[np.linalg.norm(kernel, axis=1) > 0.5])


def undetermined(vectors: NDArray[np.float64], null: NDArray[np.float64]) -> list[list[int]]:
    """Groups of ECIs that the cells do not determine, see `undetermined_directions`. Returns indices of the ECIs by group."""
    kernel = undetermined_directions(vectors, null)
    involved = np.flatnonzero(np.linalg.norm(kernel, axis=0) > 1e-3) if len(kernel) else np.array([], int)
    groups: list[list[int]] = []
    overlap = kernel.T @ kernel if len(kernel) else np.zeros((len(null), len(null)))
    for i in involved:
        home = next((g for g in groups if any(abs(overlap[i, j]) > 1e-3 for j in g)), None)
        if home is None:
            groups.append([int(i)])
        else:
            home.append(int(i))
    return groups


def fit_expansion(
    space: "ClusterSpace",
    vectors: NDArray[np.float64],
    data: DataSet,
    null: NDArray[np.float64],
    ends: NDArray[np.float64],
    method: str,
    n_folds: int,
    seed: int,
) -> Fit:
    """Fit ECIs to energies per formula unit, with cross-validation and bootstrap.

    Cells at `ends` (see `end_vectors`) are reproduced exactly, so that mixing energies are those of the data. To this end the
    constant and the points follow from all other ECIs. Their remaining freedom is removed first by least squares, since its
    size would set the scale of the priors. The ECI that neutrality makes redundant is zero in the fit; afterwards the ECIs are
    made orthogonal to the null vector, which changes no prediction.
    """
    from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
    from trainstation import CrossValidationEstimator, EnsembleOptimizer  # slow to import

    is_end = np.array([bool(np.isclose(ends, v, atol=ROUNDING).all(axis=1).any()) for v in vectors])
    gauge = _Gauge(space, null, vectors[is_end], data.energies_eV[is_end])
    columns, residual = gauge.reduce(vectors, data.energies_eV)
    seen = ~is_end
    start = np.zeros(columns.shape[1])
    start[: gauge.n_free] = np.linalg.lstsq(columns[seen, : gauge.n_free], residual[seen], rcond=None)[0]
    to_fit = columns[seen], residual[seen] - columns[seen] @ start
    own_seed = library_seed(seed, Stream.FIT)
    settings = {"fit_method": method, "seed": own_seed, "check_condition": False}
    estimator = CrossValidationEstimator(to_fit, validation_method="k-fold", n_splits=n_folds, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # of R^2, which is not used, in folds of one cell
        warnings.simplefilter("ignore", ConvergenceWarning)  # the validation judges a fit that stopped early
        estimator.validate()
        estimator.train()
        bootstrap = EnsembleOptimizer(to_fit, ensemble_size=DRAWS, **settings)
        bootstrap.train()

    parameters = gauge.expand(start + estimator.parameters)
    draws = np.array([gauge.expand(start + p) for p in bootstrap.parameters_splits])
    left_out = vectors @ parameters
    for rows, found in zip(_held_out_rows(int(seen.sum()), n_folds, own_seed), estimator.parameters_splits):
        cells = np.flatnonzero(seen)[rows]
        left_out[cells] = vectors[cells] @ gauge.expand(start + found)
    errors = np.asarray(estimator.rmse_validation_splits)
    alone = np.where(is_end, np.nan, left_out - data.energies_eV)
    if method == "least-squares":
        alone[seen] = (vectors @ parameters - data.energies_eV)[seen] / (1 - _leverages(columns[seen]))
    spread = float(np.std(to_fit[1]))
    return Fit(parameters, draws, data.energies_eV, vectors @ parameters, left_out, errors, is_end, alone, spread)


def _leverages(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Diagonal (cells,) of the hat matrix of least squares, below 1."""
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.minimum((left[:, singular > RANK_TOLERANCE * singular[0]] ** 2).sum(axis=1), 1 - RANK_TOLERANCE)


class _Gauge:
    """ECIs (p,) as fewer free parameters: the remaining freedom of the constant and the points, then all other clusters.

    ends (k, p), energies_eV (k,): cluster vectors and energies that the constant and the points reproduce for any other ECIs.
    """

    def __init__(
        self, space: "ClusterSpace", null: NDArray[np.float64], ends: NDArray[np.float64], energies_eV: NDArray[np.float64]
    ) -> None:
        redundant = int(np.argmax(np.abs(null) * (np.arange(len(null)) > 0))) if null.any() else -1
        self.base = [i for i, row in enumerate(space.as_list) if row["order"] <= 1 and i != redundant]
        self.others = [i for i, row in enumerate(space.as_list) if row["order"] > 1]
        self.null, self.ends, self.energies_eV = null, ends, energies_eV
        self.inverse = np.linalg.pinv(ends[:, self.base])
        self.free = null_space(ends[:, self.base]) if len(ends) else np.eye(len(self.base))

    @property
    def n_free(self) -> int:
        """Number of free parameters of the constant and the points."""
        return self.free.shape[1]

    def reduce(
        self, vectors: NDArray[np.float64], energies_eV: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The design matrix (cells, free parameters), and the energies (cells,) that remain to be fitted."""
        base = vectors[:, self.base]
        others = vectors[:, self.others] - base @ self.inverse @ self.ends[:, self.others]
        columns = np.hstack([base @ self.free, others])
        columns[np.abs(columns) < ROUNDING] = 0.0
        return columns, energies_eV - base @ self.inverse @ self.energies_eV

    def expand(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ECIs (p,) for values of the free parameters."""
        parameters = np.zeros(len(self.null))
        others = found[self.n_free :]
        parameters[self.others] = others
        met = self.inverse @ (self.energies_eV - self.ends[:, self.others] @ others)
        parameters[self.base] = met + self.free @ found[: self.n_free]
        return parameters - self.null * (self.null @ parameters) / (self.null @ self.null) if self.null.any() else parameters


def _held_out_rows(n: int, n_folds: int, seed: int) -> list[NDArray[np.int64]]:
    from sklearn.model_selection import KFold

    return [rows for _, rows in KFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n))]


def expansion(space: "ClusterSpace", fit: Fit) -> "ClusterExpansion":
    """The fitted cluster expansion of icet."""
    from icet import ClusterExpansion

    return ClusterExpansion(space, fit.parameters)
