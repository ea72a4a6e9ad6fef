"""The peer's way to the coordinator: connections, TLS, HTTP, signing in, wake-ups, joining.

Owns what goes over the wire to the coordinator and how it is trusted; never decides what to sync.
"""
