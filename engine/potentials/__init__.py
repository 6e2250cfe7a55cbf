"""Potentials of charge-labelled structures: energies, relaxation, labels, training."""
