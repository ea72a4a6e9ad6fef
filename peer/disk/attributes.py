"""Changes a file's executable bit and modification time in place.

Owns the check that nobody edits the file at that moment. Never touches content.
"""

from peer.disk.steps import Applied, Failed, PreimageChanged, SetAttributes, StepResult
from peer.disk.temporary import with_executable
from peer.ports import Filesystem, Handle


def set_attributes(fs: Filesystem, parent: Handle, name: str, step: SetAttributes) -> StepResult:
    """Carry out `step` on the file `name` in `parent`, not durably yet. Raises OSError.

    A new time would hide an edit made in the same instant, so a file that somebody has open for
    writing is left for later, and what is reported afterwards is the length that was expected: an
    edit in the window that is left then still shows as one, unless it keeps the length.
    """
    handle = fs.open_read(parent, name)
    try:
        status = fs.stat_handle(handle)
        before = status.fingerprint
        if before != step.expected:
            return PreimageChanged(before)
        if fs.is_being_written(handle):
            return Failed("busy_file", "another program has the file open for writing")
        if step.executable is not None and step.executable != before.executable:
            fs.set_mode(handle, with_executable(status.mode, step.executable))
        now = fs.stat_handle(handle).fingerprint
        if (now.size, now.mtime_ns) != (before.size, before.mtime_ns):
            return PreimageChanged(now)
        if step.mtime_ns is not None and step.mtime_ns != before.mtime_ns:
            fs.set_mtime(handle, step.mtime_ns)
        after = fs.stat_handle(handle).fingerprint
        if after.size != before.size or fs.is_being_written(handle):
            return PreimageChanged(after)
        return Applied(after)
    finally:
        fs.close(handle)
