"""Results for other programs: pymatgen phase diagrams and a CALPHAD database, made from results.h5 alone."""
