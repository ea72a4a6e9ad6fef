"""Stories that a user would recognise, one a module, each with a `scenario`. Owns finding them."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path

from simulations.scenario import Scenario


def names() -> list[str]:
    """The library's stories."""
    return sorted(one.name.replace("_", "-") for one in pkgutil.iter_modules(__path__))


def load(name: str) -> Scenario:
    """A story of the library by its name, or one in a Python file by its path. Raises `LookupError`, and whatever the
    file raises."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in names():
        raise LookupError(f"there is no story {name!r}: see `shoal-sim list`")
    return _scenario(importlib.import_module(f"{__name__}.{name.replace('-', '_')}"), name)


def _from_file(path: Path) -> Scenario:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise LookupError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return _scenario(module, str(path))


def _scenario(module: object, name: str) -> Scenario:
    scenario = getattr(module, "scenario", None)
    if not isinstance(scenario, Scenario):
        raise LookupError(f"{name} has no `scenario`")
    return scenario
