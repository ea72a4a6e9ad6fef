"""The commands of `shoal`. They ask the daemon and print what it answers; none of them syncs anything itself."""
