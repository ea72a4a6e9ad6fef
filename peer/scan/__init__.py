"""Finds out what is on the disk: watcher, walker, ignore rules, settling and identity."""
