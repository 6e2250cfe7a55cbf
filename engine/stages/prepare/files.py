"""Files that the analysis reads beside the samples: vibrations and measured points."""

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states
from ...errors import InputError, RedoxError
from ...input.checks.checker import Checker
from ...input.reader import InputFile, Location
from ...report.experiment import Experiment, read_experiment
from ...thermodynamics.vibrations import ROUNDING, Vibrations, read_vibrations


def read_vibrations_file(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> Vibrations | None:
    """Vibrations from the file, if it covers the temperatures of the input and the compositions of the cell."""
    config = source.config
    if config.analysis.vibrations is None or config.sampling is None:
        return None
    at: Location = ("analysis", "vibrations")
    if len(ions) != 1 or config.sampling.ensemble == "canonical":
        check.wrong(at, "allowed with one exchangeable ion, in an ensemble that changes its number")
        return None
    try:
        found = read_vibrations(source.resolve(config.analysis.vibrations), lattice, ions[0])
    except RedoxError as error:
        check.wrong(at, str(error))
        return None
    x = _compositions(source, lattice, ions[0])
    for name, known, wanted in (("K", found.temperature_K, np.array(config.sampling.temperature_K)), ("x", found.x, x)):
        if wanted.min() < known[0] - ROUNDING or wanted.max() > known[-1] + ROUNDING:
            check.wrong(at, f"found {name} = {known[0]:g} to {known[-1]:g}; this run needs {wanted.min():g} to {wanted.max():g}")
    return found


def read_experiment_file(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: Checker) -> Experiment | None:
    """Measured points, if their compositions are those of the lattice."""
    config, at = source.config, ("analysis", "experiment")
    if config.analysis.experiment is None or config.sampling is None:
        return None
    if len(ions) != 1:
        check.wrong(at, f"found {len(ions)} exchangeable ions; allowed: one, along whose composition the points lie")
        return None
    x = _compositions(source, lattice, ions[0])
    try:
        return read_experiment(source.resolve(config.analysis.experiment), x.min(), x.max())
    except InputError as error:
        for problem in error.problems:
            check.wrong(at, f"{error.source}, {problem}")
    except RedoxError as error:
        check.wrong(at, str(error))
    return None


def _compositions(source: InputFile, lattice: Lattice, ion: str) -> NDArray[np.float64]:
    """x of all neutral states of the supercell."""
    supercell = Supercell(lattice, source.config.lattice.matrix)
    return count_neutral_states(supercell, ion)[0] / supercell.n_formula_units
