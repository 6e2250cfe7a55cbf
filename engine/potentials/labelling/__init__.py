"""Labels: configurations that a potential relaxes to make a data set."""
