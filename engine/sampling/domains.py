"""How a very large cell is cut into boxes that are advanced one after the other, or several at the same time."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Domains
from ..crystal.lattice import Supercell

BOX_SITES = 3000  # about; few enough for the caches, many enough that most of what is copied with them is theirs


def cut(supercell: Supercell, reach: NDArray[np.int64], box_sites: int = BOX_SITES) -> Domains | None:
    """reach (3,): cells as far as a cluster reaches. None where the cell is not rectangular or too small for two boxes.

    Along every axis an even number of boxes, of alternating colours and at least twice the reach wide, or a single one. Twice, since
    what lies between two boxes of a colour is changed by both where fields are kept.
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
