"""How the commands talk to the daemon: one Unix socket, one JSON document a line."""
