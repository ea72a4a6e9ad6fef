"""Strict MessagePack. Owns turning bytes into typed values and back; never trusts a byte.

Everything on the wire is an array in a fixed order: no maps, so no doubled keys, and no floats. What is hashed or
signed is decoded with `decode_exact`, which refuses bytes that are not the one encoding of their value.
"""

import re
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")


class Malformed(ValueError):
    """Bytes that are no message of the expected type. The text is safe to show and holds no content."""


class Array(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Base of all that is hashed, signed or kept: a fixed-order array that takes no further fields."""


class Message(msgspec.Struct, array_like=True, frozen=True):
    """Base of requests and replies: later revisions may append fields, which older readers ignore."""


_QUOTED: Final = re.compile(r"(['\"]).*\1", re.DOTALL)

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def encode(value: object) -> bytes:
    """The one encoding of a value made of `Array`, `Message`, tuples, bytes, text, integers, booleans and None."""
    return _encoder.encode(value)


def decode(kind: type[T], data: bytes | bytearray | memoryview, limit_bytes: int) -> T:
    """Decode one value of `kind`. Raises `Malformed` for anything else, or for more than `limit_bytes`."""
    if len(data) > limit_bytes:
        raise Malformed(f"{len(data)} bytes where at most {limit_bytes} are allowed")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        value: T = decoder.decode(data)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a valid {_name(kind)}: {_QUOTED.sub('…', str(error))}") from None
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
        raise Malformed(f"not a valid {_name(kind)}") from None
    return value


def decode_exact(kind: type[T], data: bytes | bytearray | memoryview, limit_bytes: int) -> T:
    """Like `decode`, and raises `Malformed` unless encoding the value gives the very same bytes."""
    value = decode(kind, data, limit_bytes)
    if _encoder.encode(value) != data:
        raise Malformed(f"not the canonical encoding of a {_name(kind)}")
    return value


def _name(kind: object) -> str:
    return getattr(kind, "__name__", "message")
