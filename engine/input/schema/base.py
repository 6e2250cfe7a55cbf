"""What all sections are made of."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Auto = Literal["auto"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _nameable(path: Any) -> Any:
    """No file system has longer names."""
    if any(len(part.encode()) > LONGEST_NAME for part in str(path).split("/")) or len(str(path).encode()) > LONGEST_PATH:
        raise ValueError(f"found a name of {len(str(path))} characters; allowed: up to {LONGEST_NAME} between slashes")
    return path


LONGEST_NAME, LONGEST_PATH = 255, 4000
Count = Annotated[int, Field(gt=0, le=10**9)]
Temperature = Annotated[float, Field(ge=1, le=1e6, description="kelvin")]
Energy = Annotated[float, Field(ge=-1e5, le=1e5)]
Charge = Annotated[int, Field(ge=-20, le=20)]
Repeats = Annotated[int, Field(ge=-10_000, le=10_000)]
Row = Annotated[list[Repeats], Field(min_length=3, max_length=3)]
Shape = Annotated[list[Repeats] | list[Row], Field(min_length=3, max_length=3)]
File = Annotated[Path, AfterValidator(_nameable)]
Files = Annotated[
    tuple[Annotated[str, AfterValidator(_nameable)], ...],
    BeforeValidator(
        lambda v: (v,) if isinstance(v, str) else tuple(v) if isinstance(v, list) else v, json_schema_input_type=str | list[str]
    ),
]


def supercell_matrix(shape: Shape) -> NDArray[np.int64]:
    """The matrix (3, 3) of a supercell, whose rows are its vectors in cells; `shape` is three repeats or the matrix itself."""
    given = np.array(shape, np.int64)
    return np.diag(given) if given.ndim == 1 else given
