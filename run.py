"""python run.py input.yaml, alone or under mpirun; see README.md."""

import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    # the folders engine/ and kernels/ are installed as redoxmc.engine and redoxmc.kernels; bare names must not be found
    sys.path[:] = [p for p in sys.path if p and Path(p).resolve() != here]
    from redoxmc.engine.cli import main

    sys.exit(main())
