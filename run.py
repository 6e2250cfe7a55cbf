"""The command `redoxmc` as a script: `python run.py input.yaml`, alone or under mpirun."""

import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    # engine/ and kernels/ are installed as redoxmc.engine and redoxmc.kernels; they must not be found as engine and kernels
    sys.path[:] = [p for p in sys.path if p and Path(p).resolve() != here]
    from redoxmc.engine.cli import main

    sys.exit(main())
