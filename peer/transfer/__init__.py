"""Pipelines of blocks between the users' files and those who keep or need blocks."""
