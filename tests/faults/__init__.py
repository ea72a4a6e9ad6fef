"""Disks that fail: calls that return errors on demand, and a machine that forgets what nobody had made durable."""
