"""Expansion and potential as one: the expansion moves fast, the potential has the last word."""
