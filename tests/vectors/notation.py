"""Every wire type in one line of the notation that `docs/protocol.md` uses. Owns the notation; run to print it all."""

import inspect
from types import ModuleType
from typing import Any

import msgspec
import msgspec.inspect as shape

from protocol import codec, lan, messages, model, nearby, offered

_NUMBERS = {2**53: "2^53", 2**63 - 1: "2^63-1", -(2**63): "-2^63", 2**31 - 1: "2^31-1"}


def _number(value: int) -> str:
    return _NUMBERS.get(value, str(value))


def type_text(kind: Any) -> str:
    """One type: lengths of `bin` in bytes, of `text` in characters."""
    match kind:
        case shape.BytesType(min_length=int(low), max_length=high) if low == high:
            return f"bin {low}"
        case shape.BytesType(min_length=low, max_length=high):
            return "bin" if high is None else f"bin {low or 0}..{high}"
        case shape.StrType(min_length=low, max_length=high):
            return f"text {low or 0}..{high}"
        case shape.IntType(ge=int(low), le=high, lt=below):
            return f"int {_number(low)}..{_number(high if isinstance(high, int) else int(below or 0) - 1)}"
        case shape.BoolType():
            return "bool"
        case shape.NoneType():
            return "nil"
        case shape.EnumType(cls=cls) | shape.StructType(cls=cls):
            return str(cls.__name__)
        case shape.LiteralType(values=values):
            return " or ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
        case shape.VarTupleType(item_type=item, max_length=high):
            return f"[{type_text(item)}] up to {high}"
        case shape.TupleType(item_types=items):
            return f"({', '.join(map(type_text, items))})"
        case shape.UnionType(types=types):
            return " or ".join(map(type_text, types))
        case _:
            raise NotImplementedError(kind)


def line(struct: type[msgspec.Struct]) -> str:
    """One struct: its tag, if any, and its fields in order."""
    described = shape.type_info(struct)
    assert isinstance(described, shape.StructType)
    parts = [] if described.tag is None else [f'"{described.tag}"' if isinstance(described.tag, str) else described.tag]
    for field in described.fields:
        default = "" if field.required else f" = {'nil' if field.default is None else field.default!r}"
        parts.append(f"{field.encode_name}: {type_text(field.type)}{default.replace('()', '[]')}")
    return f"{struct.__name__} = [{', '.join(map(str, parts))}]"


def structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    """The wire types of a module, in the order of its source."""
    found = {
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, codec.Array | codec.Message) and kind.__module__ == module.__name__
    }
    source = inspect.getsource(module)
    return sorted(found, key=lambda kind: source.index(f"class {kind.__name__}("))


if __name__ == "__main__":
    for module in (model, messages, offered, nearby, lan):
        print("\n".join(map(line, structs(module))), end="\n\n")
