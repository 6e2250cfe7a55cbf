"""Long-range order: when the strongest star of waves is more than what disorder gives."""

import numpy as np
from numpy.typing import NDArray

from ...crystal.long_range_order import FALSE_ALARM, LEAST_ORDER, recognise
from ...crystal.structure_factor import Field, Waves
from ...runtime.results.order import LongRangeOrder

Float = NDArray[np.float64]
Int = NDArray[np.int64]
CRITERION = (
    f"ordered: the strongest star of equivalent waves q holds a share of at least {LEAST_ORDER:g} beyond that of disorder, "
    f"and more than random arrangements would give at any star with probability {FALSE_ALARM:g}. Short-range order gives shares "
    "that decrease as 1/N with the size of the cell. separated: the same, but in a long wave that passes only once through the "
    "cell: two phases, or two domains of an order, side by side, or an order too long for the cell"
)


def long_range_order(field: Field, waves: Waves, weights: Float, errors: Float, chains: Int) -> LongRangeOrder:
    """The order of one field for /order; weights and errors (temperatures, x, stars), chains (temperatures, x)."""
    found = recognise(weights, chains, waves, field)
    return LongRangeOrder(
        species=field.name,
        order_weight=found.weight,
        order_weight_error=np.take_along_axis(errors, found.star[..., None], axis=-1)[..., 0],
        order_parameter=found.parameter,
        order_q=np.where(np.isfinite(found.weight)[..., None], waves.star_q[found.star], np.nan),
        ordered=found.ordered,
        separated=found.separated,
    )
