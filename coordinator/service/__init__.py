"""Use cases: one function is one use case is one transaction. Returns replies or refusals, never raises for either."""
