"""Labelled frames to potentials."""
