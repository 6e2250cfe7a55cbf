"""Thousands of wrong inputs: each is answered in words or is a plan that holds, never with a traceback, a hang or a run of something else."""

import contextlib
import hashlib
import io
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoxmc.engine.check import print_plan
from redoxmc.engine.inputfile import read_input
from redoxmc.engine.parallel import run_on_all_ranks
from redoxmc.engine.prepare import Prepared, prepare

from .wrong_inputs import (
    CIF_WORDS,
    DOCUMENTS,
    XYZ_WORDS,
    YAML_WORDS,
    as_yaml,
    mutated_bytes,
    mutated_documents,
    schema_documents,
    write_good_files,
)

LONGEST_S = 10.0  # of one check, on a loaded machine
MEMORY = 6 * 2**30  # beyond what the libraries have mapped already


class TooLong(Exception):
    pass


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """A check that hangs ends with an exception, one that eats the memory too."""

    def ring(*_: Any) -> None:
        raise TooLong(f"after {LONGEST_S} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, hard))
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def check(path: Path) -> tuple[int, str, Prepared | None]:
    """What run.py --check does, in this process: exit code, what it said, and the plan if there is one."""
    found: list[Prepared] = []

    def work() -> None:
        found.append(prepare(read_input(path)))
        print_plan(found[0], 1)

    said = io.StringIO()
    with limits(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = run_on_all_ranks(work)
    return code, said.getvalue(), found[0] if found else None
