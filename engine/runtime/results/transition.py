"""Access by name and groups without a schema, until all readers and producers use the typed groups. To be removed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Legacy:
    """group["name"], "name" in group, group.variables and group.attributes."""

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.variables[name].values

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    @property
    def variables(self) -> dict[str, Any]:
        return self.datasets()  # type: ignore[attr-defined]

    @property
    def attributes(self) -> dict[str, Any]:
        return self.file_attributes()  # type: ignore[attr-defined]


class LooseGroup(Legacy):
    """A group that is filled variable by variable."""

    def __init__(self, variables: dict[str, Any] | None = None, attributes: dict[str, Any] | None = None) -> None:
        self._variables, self._attributes = variables or {}, attributes or {}

    @property
    def variables(self) -> dict[str, Any]:
        return self._variables

    @property
    def attributes(self) -> dict[str, Any]:
        return self._attributes

    def add(self, name: str, dims: tuple[str, ...], values: Any, units: str, long_name: str, error: Any = None) -> None:
        from .schema import Variable

        self.variables[name] = Variable(dims, np.asarray(values), units, long_name)
        if error is not None:
            self.variables[f"{name}_error"] = Variable(dims, np.asarray(error), units, f"standard error of {long_name}")


class LegacyAttributes:
    """attributes["name"], attributes.get and "name" in attributes, as the file has them."""

    def __getitem__(self, name: str) -> Any:
        return self.file_attributes()[name]  # type: ignore[attr-defined]

    def get(self, name: str, default: Any = None) -> Any:
        return self.file_attributes().get(name, default)  # type: ignore[attr-defined]

    def __contains__(self, name: str) -> bool:
        return name in self.file_attributes()  # type: ignore[attr-defined]


def typed(cls: Any, group: Any) -> Any:
    """The typed group of a loose one; a typed one as it is."""
    from .schema import build

    if not isinstance(group, LooseGroup):
        return group
    return build(cls, {name: v.values for name, v in group.variables.items()}, group.attributes)


def typed_results(attributes: dict[str, Any], groups: dict[str, Any]) -> Any:
    """attributes: as in the file."""
    from .run import Attributes, Results, group_classes
    from .schema import build

    return Results(build(Attributes, {}, attributes), **{n: typed(group_classes()[n], g) for n, g in groups.items()})
