"""States of lowest energy: of small supercells for the convex hull, and of the electrons at given ions."""
