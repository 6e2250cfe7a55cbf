"""Potentials held against a reference."""
