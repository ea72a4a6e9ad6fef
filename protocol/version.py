"""Protocol versions. Owns the numbers and what they mean.

`MAJOR` changes when old and new cannot speak; `REVISION` when something was added that either side may ignore.
Capabilities are words; an unknown one is ignored, an absent one is off.
"""

from typing import Final

MAJOR: Final = 1
REVISION: Final = 0
CAPABILITIES: Final[frozenset[str]] = frozenset({"durable-versions", "offered-versions"})
