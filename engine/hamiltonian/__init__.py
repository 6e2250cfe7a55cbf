"""Energy of an occupation of the lattice: terms (clusters with energies) that end in one flat integer table."""
