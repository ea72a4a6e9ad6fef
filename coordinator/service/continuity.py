"""After a restore: which workspaces take only hand-backs for now. Owns that memory; never reads a file or a clock."""


class Continuity:
    """By default nothing is held back."""
