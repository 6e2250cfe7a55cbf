"""What all sections are made of."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Auto = Literal["auto"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Files = Annotated[
    tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v, json_schema_input_type=str | list[str])
]
Row = Annotated[list[int], Field(min_length=3, max_length=3)]
Shape = Annotated[list[int] | list[Row], Field(min_length=3, max_length=3)]


def matrix_of(shape: Any) -> list[list[int]]:
    """The 3x3 matrix of a supercell given as three repeats or as the matrix itself."""
    return [[v if i == j else 0 for j in range(3)] if isinstance(v, int) else list(v) for i, v in enumerate(shape)]
