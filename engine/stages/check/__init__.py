"""What --check and --data print: the plan of a run, its cost, warnings, results that will be missing, the table of a data set."""
