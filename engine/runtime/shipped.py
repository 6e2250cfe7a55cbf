"""Files that come with RedoxMC: `CITATION.cff` and the examples of `inputs/`."""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2]  # the installed package or, behind the links of setup.py, the checkout
