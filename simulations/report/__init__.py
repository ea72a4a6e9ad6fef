"""What happened in a world, on one page that a person can read."""
