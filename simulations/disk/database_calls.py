"""SQLite's own calls to the files of a database, each of which can fail like a call to a simulated disk.

Owns a VFS (https://www.sqlite.org/vfs.html) in front of the usual one, which it leaves all work to: it only answers
with the error that the usual one would give where a call is to fail. So what SQLite makes of it is SQLite's. The files
are real ones. Locks and what passes through shared memory never fail, and a write fails as a whole.
"""

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from simulations.disk.faults import Faults

_OK: Final = 0
_FULL: Final = 13
_CANNOT_OPEN: Final = 14
_NO_READ: Final = 10 | 33 << 8
_NO_WRITE: Final = 10 | 3 << 8
_NO_SYNC: Final = 10 | 4 << 8
_NO_TRUNCATE: Final = 10 | 6 << 8
_NO_DELETE: Final = 10 | 10 << 8
_NO_SHARED: Final = 10 | 19 << 8
"""Extended result codes of SQLite, as its VFS for Unix gives them."""
_CREATES: Final = 0x4
_NAME: Final = b"shoal-sim"


class _Methods(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "truncate", "sync")),
        ("others", c_void_p * 7),
        ("map_shared", c_void_p),
        ("later", c_void_p * 5),
    ]


class _File(ctypes.Structure):
    _fields_: ClassVar[Any] = [("methods", POINTER(_Methods))]


class _Vfs(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("version", c_int),
        ("file_bytes", c_int),
        ("path_bytes", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("others", c_void_p * 14),
    ]


_OPEN: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
"""Paths are passed on where they are: SQLite keeps the address."""
_CLOSE: Final = ctypes.CFUNCTYPE(c_int, c_void_p)
_BYTES: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_int)
_MAP: Final = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)


@contextmanager
def failing_databases(place: Path, faults: Faults) -> Iterator[None]:
    """What is opened in that directory from now on has these faults. One at a time for a directory."""
    places = _front().places
    places[str(place)] = faults
    try:
        yield
    finally:
        del places[str(place)]


@cache
def _front() -> "_Front":
    """The one of this process, through which all of its databases are opened from now on."""
    return _Front()


class _Front:
    def __init__(self) -> None:
        self.places: dict[str, Faults] = {}
        """By directories."""
        self._files: dict[int, tuple[Faults, str]] = {}
        """What is open, by its address: its faults and its name."""
        self._tables: dict[int, tuple[_Methods, list[object]]] = {}
        """What stands before the methods at an address, and what must live as long as that."""
        library = ctypes.CDLL(_sqlite3.__file__)  # a symbol is looked up in the libraries it was linked to as well
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self._usual = library.sqlite3_vfs_find(None)
        usual = self._usual.contents
        self._vfs = _Vfs.from_buffer_copy(usual)
        self._vfs.next, self._vfs.name = None, _NAME
        self._open_usual, self._delete_usual = _OPEN(usual.open), _DELETE(usual.delete)
        self._ours = (_OPEN(self._open), _DELETE(self._delete))
        self._vfs.open, self._vfs.delete = (ctypes.cast(each, c_void_p).value for each in self._ours)
        if library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1):
            raise RuntimeError("SQLite takes no VFS")

    def _faults(self, path: int | None) -> tuple[Faults | None, str]:
        directory, _, name = os.fsdecode(ctypes.string_at(path) if path else b"").rpartition("/")
        return self.places.get(directory), name

    def _open(self, _vfs: int, path: int | None, file: int, flags: int, given: int | None) -> int:
        faults, name = self._faults(path)
        opened = _File.from_address(file)
        if faults is not None and _refused(faults, "create" if flags & _CREATES else "open_write", name):
            opened.methods = None
            return _CANNOT_OPEN
        result: int = self._open_usual(ctypes.addressof(self._usual.contents), path, file, flags, given)
        if faults is not None and result == _OK:
            self._files[file] = (faults, name)
            opened.methods = ctypes.pointer(self._before(opened.methods))
        return result

    def _delete(self, _vfs: int, path: int | None, syncs: int) -> int:
        faults, name = self._faults(path)
        if faults is not None and _refused(faults, "unlink", name):
            return _NO_DELETE
        result: int = self._delete_usual(ctypes.addressof(self._usual.contents), path, syncs)
        return result

    def _before(self, usual: Any) -> _Methods:
        address = ctypes.addressof(usual.contents)
        if address not in self._tables:
            self._tables[address] = self._stand_before(usual.contents)
        return self._tables[address][0]

    def _stand_before(self, usual: _Methods) -> tuple[_Methods, list[object]]:
        table, kept = _Methods.from_buffer_copy(usual), list[object]()
        end: Callable[..., int] = _CLOSE(usual.close)

        def close(file: int) -> int:
            self._files.pop(file, None)
            return end(file)

        def put(name: str, kind: Any, function: Callable[..., int]) -> None:
            kept.append(ours := kind(function))
            setattr(table, name, ctypes.cast(ours, c_void_p).value)

        put("close", _CLOSE, close)
        for name, kind, call, code in (
            ("read", _BYTES, "read_into", _NO_READ),
            ("write", _BYTES, "write_at", _NO_WRITE),
            ("truncate", _TRUNCATE, "truncate", _NO_TRUNCATE),
            ("sync", _SYNC, "sync", _NO_SYNC),
            ("map_shared", _MAP, "allocate", _NO_SHARED),
        ):
            if getattr(usual, name):  # files that only the database's owner opens have no shared memory
                put(name, kind, self._perhaps(kind(getattr(usual, name)), call, code))
        kept.append(end)
        return table, kept

    def _perhaps(self, usual: Callable[..., int], call: str, code: int) -> Callable[..., int]:
        files = self._files

        def do(file: int, *arguments: Any) -> int:
            faults, name = files[file]
            refused = faults.planned and _refused(faults, call, name)
            if refused:
                return _FULL if refused == errno.ENOSPC and call == "write_at" else code
            return usual(file, *arguments)

        return do


def _refused(faults: Faults, call: str, name: str) -> int:
    """The error number with which this call is to fail, or 0."""
    try:
        faults.check(call, (name,))
    except OSError as error:
        return error.errno or errno.EIO
    return 0
