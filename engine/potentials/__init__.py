"""Energy of a relaxed, charge-labelled structure."""
