"""`plan`: from three trees to a plan. Owns the composition of merge and diff and the brake; decides nothing else."""

from peer.planner.operations import Plan, Policy
from peer.planner.trees import Trees


def plan(trees: Trees, policy: Policy) -> Plan:
    """What to do so that the three trees become equal. Pure and deterministic; costs as much as the trees differ."""
    raise NotImplementedError
