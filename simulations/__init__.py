"""Worlds in which the real coordinator and the real peers run under virtual time and faults."""

from simulations.scenario import DevicePlan, Scenario, SitePlan, Stage, Unexpected, run_scenario
from simulations.units import GB, KB, MB, days, hours, kbit, mbit, minutes, seconds

__all__ = [
    "GB",
    "KB",
    "MB",
    "DevicePlan",
    "Scenario",
    "SitePlan",
    "Stage",
    "Unexpected",
    "days",
    "hours",
    "kbit",
    "mbit",
    "minutes",
    "run_scenario",
    "seconds",
]
