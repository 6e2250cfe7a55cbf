"""Compiled Monte Carlo loop: numpy arrays in, numpy arrays out; numba only, no knowledge of files or chemistry."""
