"""Entropies of the electrons at frozen ions and of the ions at frozen electrons, sampled from the states of a run."""
