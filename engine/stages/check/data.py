"""--data: the table of the data set, and nothing else."""

import sys
from pathlib import Path

from mpi4py import MPI
from rich.console import Console
from rich.table import Table

from ...errors import RedoxError
from ...input.checks.checker import Checker
from ...input.checks.lattice import read_lattice
from ...input.reader import read_input
from ...potentials.dataset import read_frame_table
from ..shared.frame_table import COLUMNS, csv_text, table_rows
from ..shared.output import Output


def print_data(path: Path) -> None:
    """Print a row for every frame on rank 0: a table on a terminal, otherwise comma-separated values.

    The data set is not judged as a whole. Raises InputError, or RedoxError if there is no data set.
    """
    if MPI.COMM_WORLD.rank != 0:
        return
    source = read_input(path)
    check = Checker(source)
    lattice = read_lattice(source, check)
    check.stop_if_wrong()
    output = Output(source.resolve(source.config.output))
    given = source.config.energy.cluster_expansion if source.config.energy else None
    files = source.files(given.dataset) if given and given.dataset else [p for p in (output.labels,) if p.exists()]
    if not files:
        raise RedoxError("this input has no energy.cluster_expansion.dataset, and no cells are labelled yet")
    rows = table_rows(read_frame_table(files, lattice, output.mapped_cells), source.path.parent)
    if not sys.stdout.isatty():
        sys.stdout.write(csv_text(rows))
        return
    shown = [c for c in COLUMNS if any(row[c] for row in rows)]
    table = Table(*shown, title=f"{len(rows)} frames")
    for row in rows:
        table.add_row(*(row[c] for c in shown))
    Console().print(table)
