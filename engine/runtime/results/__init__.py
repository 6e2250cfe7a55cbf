"""results.h5 as typed data: a frozen dataclass for each group, one writer, one reader, one migration of older files."""

from .file import read_results, with_all_coordinates, write_results
from .migration import LAYOUT
from .run import Attributes, Results, group_classes
from .schema import Group, Variable

__all__ = [
    "LAYOUT",
    "Attributes",
    "Group",
    "Results",
    "Variable",
    "group_classes",
    "read_results",
    "with_all_coordinates",
    "write_results",
]
