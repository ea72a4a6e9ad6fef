"""Changes what is on the disk, without losing anything: atomic swap, private directory."""
