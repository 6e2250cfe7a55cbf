"""Cluster expansions of other codes, read from their files without those codes."""
