"""What the system's error numbers mean for a step. Pure."""

import errno
import os
from typing import Final

from peer.disk.steps import Failed, FailureCode

_CODES: Final[dict[int, FailureCode]] = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.EROFS: "unreadable",
    errno.ENAMETOOLONG: "name_not_allowed",
    errno.EINVAL: "name_not_allowed",
    errno.EILSEQ: "name_not_allowed",
    errno.EBUSY: "busy_file",
    errno.ETXTBSY: "busy_file",
}


def failure(error: OSError) -> Failed:
    """Return the problem that `error` is; `io_error` for all that has no better name."""
    code = _CODES.get(error.errno or 0, "io_error")
    return Failed(code, error.strerror or os.strerror(error.errno or 0))
