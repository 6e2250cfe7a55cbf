"""Chains over MPI ranks, exchange between them, and the segments that they make, in memory and in files."""
