"""Types that all sections of the input file use."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_NAME, LONGEST_PATH = 255, 4000  # limits of file systems, in bytes


class Model(BaseModel):
    """Base of all sections: immutable, without unknown keys, infinities and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_length(path: Any) -> Any:
    """The path, unless file systems do not allow names of this length. Raises ValueError."""
    if any(len(part.encode()) > LONGEST_NAME for part in str(path).split("/")) or len(str(path).encode()) > LONGEST_PATH:
        raise ValueError(f"found a name of {len(str(path))} characters; allowed: up to {LONGEST_NAME} between slashes")
    return path


def _as_tuple(files: Any) -> Any:
    """One file name, or a list of them, as a tuple."""
    if isinstance(files, str):
        return (files,)
    return tuple(files) if isinstance(files, list) else files


Auto = Literal["auto"]
Count = Annotated[int, Field(gt=0, le=10**9)]
Temperature = Annotated[float, Field(ge=1, le=1e6, description="kelvin")]
Energy = Annotated[float, Field(ge=-1e5, le=1e5)]
Charge = Annotated[int, Field(ge=-20, le=20)]
Repeats = Annotated[int, Field(ge=-10_000, le=10_000)]
Row = Annotated[list[Repeats], Field(min_length=3, max_length=3)]
Shape = Annotated[list[Repeats] | list[Row], Field(min_length=3, max_length=3)]
File = Annotated[Path, AfterValidator(_check_length)]
Files = Annotated[
    tuple[Annotated[str, AfterValidator(_check_length)], ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
]


def supercell_matrix(shape: Shape) -> NDArray[np.int64]:
    """The matrix (3, 3) of a supercell, whose rows are its vectors in cells; `shape` is three repeats or the matrix itself."""
    given = np.array(shape, np.int64)
    return np.diag(given) if given.ndim == 1 else given
