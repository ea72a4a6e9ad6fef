"""Whole worlds: the real programs under virtual time."""
