"""Worlds in which the real coordinator and the real peers run under virtual time and faults."""
