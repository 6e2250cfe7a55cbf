"""RedoxMC: Monte Carlo of ions and electrons together in mixed-valence materials."""

__version__ = "0.1.0"
