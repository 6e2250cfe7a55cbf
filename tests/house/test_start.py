"""What a start does not load, as it takes seconds: torch unless a potential is used, and more."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..helpers.command import environment
from ..helpers.paths import ROOT

SLOW = (
    "torch",
    "icet",
    "matplotlib",
    "pandas",
    "pymatgen",
    "scipy.stats",
    "sklearn",
    "xarray",
)  # one second and more, all together
CHECK = "from redoxmc.engine.cli import main; assert main([sys.argv[1], '--check']) == 0"


def loaded(code: str, *arguments: str) -> set[str]:
    """Names of the modules that a new process holds after `code`."""
    ends = "; print('', *sys.modules)"
    command = [sys.executable, "-c", f"import sys; {code}{ends}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_checking_a_user_specified_hamiltonian_loads_little() -> None:
    names = loaded(CHECK, str(ROOT / "inputs/tutorial/1_ising.yaml"))
    assert "redoxmc.engine.stages.check.check" in names
    assert not names & set(SLOW)


def test_what_the_report_and_a_potential_need_waits_for_them() -> None:
    names = loaded("import redoxmc.engine.workflow")
    assert "redoxmc.engine.stages.report" in names
    assert not names & set(SLOW)


@pytest.mark.parametrize("code", ["from redoxmc import build_system, sample, open_results"])
def test_without_a_potential_torch_is_not_loaded(code: str) -> None:
    assert "torch" not in loaded(code)


def test_redoxmc_is_found_above_a_folder_of_that_name(tmp_path: Path) -> None:
    """A clone called redoxmc lies in the current folder: the installed package is meant."""
    (tmp_path / "redoxmc/engine").mkdir(parents=True)
    code = "import os; os.chdir(sys.argv[1]); sys.path.insert(0, ''); import redoxmc; redoxmc.open_results"
    assert "redoxmc._opening" in loaded(code, str(tmp_path))
