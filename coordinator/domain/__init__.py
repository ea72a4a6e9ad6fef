"""Decisions of the coordinator: functions from data to data. No I/O, no clock."""
