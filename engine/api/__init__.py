"""RedoxMC from Python: open results, build a Hamiltonian, sample it, plot it. Examples: docs/python_api.md."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from redoxmc.engine import __version__
from redoxmc.engine.errors import RedoxError

if TYPE_CHECKING:
    from ._building import build_system
    from ._opening import open_results
    from ._plotting import plot_phase_diagram
    from ._sampling import sample

__all__ = ["RedoxError", "__version__", "build_system", "open_results", "plot_phase_diagram", "sample"]
_HOMES = {
    "build_system": "building",
    "open_results": "opening",
    "plot_phase_diagram": "plotting",
    "sample": "sampling",
}  # loaded when asked for: the command line, which passes through here, needs none of them


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"redoxmc._{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
