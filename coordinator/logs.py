"""What the coordinator says about itself: one JSON document a line on standard error, or plain lines to a terminal.

Owns the format and the id of the request at hand. Headers, bodies, tokens and keys are never logged; a client's
faults have no traceback.
"""

import contextvars
import datetime as dt
import json
import logging
import sys
from typing import Any, Final, TextIO

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""Id of the request that the current task serves; empty outside of one."""

_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send all logging to `stream` (standard error), replacing what was configured before."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(HumanLines() if target.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("coordinator").setLevel(level)


def _when(record: logging.LogRecord) -> dt.datetime:
    return dt.datetime.fromtimestamp(record.created, dt.UTC)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if current := request_id.get():
        fields.setdefault("request", current)
    return fields


class JsonLines(logging.Formatter):
    """One JSON document a line: time (UTC), level, logger, message, then whatever `extra` was given."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        document: dict[str, Any] = {
            "time": _when(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


class HumanLines(logging.Formatter):
    """Time, level, message and fields, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{_when(record):%H:%M:%S} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
