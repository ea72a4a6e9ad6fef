"""Vectors for second implementations, each with the script that makes it."""
