"""The coordinator: authoritative metadata, order and history, wake-ups, and encrypted blocks."""
