"""Configurations to a data set."""
