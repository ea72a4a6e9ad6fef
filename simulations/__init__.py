"""Worlds in which the real coordinator and the real peers run under virtual time and faults."""

from simulations.plans import DevicePlan, SitePlan
from simulations.scenario import Scenario, run_scenario
from simulations.stage import Stage, Unexpected
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
