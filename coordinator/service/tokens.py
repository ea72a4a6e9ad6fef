"""Login challenges and tokens, in memory only. Owns their lifetimes and bounds; never talks to storage."""


class Tokens:
    """Open challenges and valid tokens of one process."""
