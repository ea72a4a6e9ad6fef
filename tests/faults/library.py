"""The library that programs under test are started with: built once, by the C compiler of this machine."""

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("faults.c")


def has_compiler() -> bool:
    """Whether there is a C compiler, and the C library to compile with."""
    return shutil.which("cc") is not None and Path("/usr/include/stdio.h").exists()


@functools.cache
def built() -> Path:
    """The library, readable by whoever programs run as; removed when this process ends."""
    directory = Path(tempfile.mkdtemp(prefix="shoal-faults-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    library = directory / "faults.so"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run(["cc", *flags, "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    library.chmod(0o755)
    return library


@functools.cache
def functions() -> ctypes.CDLL:
    """What the library has for the tests themselves; see `power`."""
    return ctypes.CDLL(str(built()))
