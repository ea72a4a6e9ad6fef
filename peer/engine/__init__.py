"""Keeping one workspace in step: scan, feed, plan, carry out. One engine a workspace, sole owner of its trees."""
