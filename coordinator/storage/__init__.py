"""Implementations of the storage ports. Named only by the composition root."""
