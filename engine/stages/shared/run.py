"""What a run is: `Run`, which every rank has, and `RootData`, which rank 0 alone holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...crystal.neutrality import Exchange
from ...hamiltonian.electrostatics import PointCharges
from ...hamiltonian.imported import ImportedExpansion
from ...hamiltonian.terms import Hamiltonian
from ...input.reader import InputFile
from ...input.schema import Config
from ...potentials.dataset import DataSet, FrameTable
from ...potentials.specification import PotentialSpec
from ...report.experiment import Experiment
from ...thermodynamics.vibrations import Vibrations
from .options import Options
from .output import Output

if TYPE_CHECKING:
    from icet import ClusterSpace  # slow to import


@dataclass(frozen=True)
class Run:
    """A checked input and what follows from it at once. Rank 0 makes it, every rank has it, and it never changes.

    exchanges: smallest neutral exchanges of species. ions: names of the ions whose number can change. user_terms: point and pair
    energies that the user specified. point_charges: those of the input and of the model file. file_hashes: of the files that the
    lattice and the energy come from, by key. potential: None if no stage needs one.
    """

    source: InputFile
    options: Options
    output: Output
    lattice: Lattice
    exchanges: tuple[Exchange, ...]
    ions: tuple[str, ...]
    user_terms: Hamiltonian
    point_charges: tuple[PointCharges, ...]
    file_hashes: dict[str, Any]
    potential: PotentialSpec | None

    @property
    def config(self) -> Config:
        return self.source.config

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Of the supercell that is sampled, (3, 3)."""
        return self.config.lattice.matrix


@dataclass(frozen=True)
class FitData:
    """What the cluster expansion is fitted to. vectors (cells, parameters): cluster vectors.

    null, ends: see `neutrality_null_vector` and `end_vectors`. table: all frames, used or not. warnings: what is undetermined.
    """

    space: "ClusterSpace"
    data: DataSet
    vectors: NDArray[np.float64]
    null: NDArray[np.float64]
    ends: NDArray[np.float64]
    table: FrameTable
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RootData:
    """What only rank 0 needs or can hold (icet's cluster spaces cannot be sent). On every other rank None takes its place.

    fit_data: None until there is a data set, or if nothing is fitted. model: a cluster expansion from a file.
    """

    fit_data: FitData | None = None
    model: ImportedExpansion | None = None
    vibrations: Vibrations | None = None
    experiment: Experiment | None = None
