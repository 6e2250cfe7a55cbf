"""What several stages share: the run, its options, its output folder, its cells, and parts of its records."""
