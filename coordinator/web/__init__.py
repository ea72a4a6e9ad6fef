"""HTTP and WebSockets: decoding, limits, statuses, streams. Permission and rules are the services'."""
