"""Division of a very large cell into boxes, which are advanced one after the other or several at the same time."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Domains
from ...crystal.lattice import Supercell

BOX_SITES = 3000  # about; few enough for the caches, and many enough that the margins copied with a box are smaller than it


def cut(supercell: Supercell, reach: NDArray[np.int64], box_sites: int = BOX_SITES) -> Domains | None:
    """The boxes; None if the cell is not rectangular or too small for two boxes. reach (3,): range of the clusters, in cells.

    Along every axis there is one box, or an even number of boxes with alternating colours, each at least twice the reach wide:
    two boxes of one colour both change the fields of sites between them.
    """
    shape = np.array(supercell.shape)
    edge = round((box_sites / supercell.lattice.n_sites) ** (1 / 3))
    numbers = np.maximum(1, shape // np.maximum(4 * reach, 2 * edge) * 2)
    if (numbers == 1).all() or np.any(supercell.hermite != np.diag(shape)):
        return None
    limits = [np.arange(n + 1) * length // n for n, length in zip(numbers, shape)]
    margin = np.where(numbers > 1, reach, 0)
    colours: dict[tuple[int, ...], list[list[list[int]]]] = {}
    for box in product(*map(range, numbers)):
        extent = [limits[axis][k : k + 2].tolist() for axis, k in enumerate(box)]
        colours.setdefault(tuple(k % 2 for k in box), []).append(extent)
    widest = np.array([np.diff(limit).max() for limit in limits])
    board, second = widest + 2 * margin, np.zeros(3, np.int64)
    side = int(np.argmax(numbers))
    second[side] = board[side]
    return Domains(shape, margin, board + second, second, np.array(list(colours.values())))
