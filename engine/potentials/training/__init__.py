"""Training of potentials on labelled frames."""
