"""What precedes the sampling: temperatures, annealing, weights of moves, scans, cycles, starting states, equilibration."""
