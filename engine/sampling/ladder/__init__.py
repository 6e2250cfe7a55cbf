"""What is sampled: temperatures, ensembles and slots, and the file that keeps them with the starting states."""
