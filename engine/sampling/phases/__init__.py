"""Phases as objects: their catalogue, and semigrand chains in each of them."""
