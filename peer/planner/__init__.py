"""The planner: from three trees to a plan. Pure."""
