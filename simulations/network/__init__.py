"""A network between simulated hosts."""
