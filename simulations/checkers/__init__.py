"""The invariants as code: each from what was observed to the promises that are broken. Never changes what happens.

A module is called by an invariant's number, `a` for those that hold always and `l` for those that hold at rest, and a
usual term for it.
"""
