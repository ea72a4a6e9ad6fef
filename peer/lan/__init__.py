"""Devices that meet on the local network."""
