"""The commands of `shoal-coordinator`."""
