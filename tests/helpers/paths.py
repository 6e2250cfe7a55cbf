"""Where the project and its shipped structure are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRUCTURE = str(ROOT / "inputs/structures/NaFePO4.cif")
