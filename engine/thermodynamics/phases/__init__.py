"""Phases as objects: grand potentials of each, and the first-order lines where two of them are equal."""
