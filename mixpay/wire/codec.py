"""Strict binary codec of frozen dataclasses, driven by their annotations.

A wire object is a frozen dataclass whose fields are annotated with the widths below (`seq: U64`). Integers
are big-endian and unsigned, byte strings have fixed sizes, lists carry a u16 count and have a bound. There
is one encoding of a value and every other byte string is refused, so nothing can hide in a frame.

Decoding raises only `PeerError("malformed_frame")`, whatever the input. Encoding a value that does not fit
its field raises ValueError: that is our own mistake, never the peer's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from operator import attrgetter
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints

from mixpay.errors import PeerError

MALFORMED = "malformed_frame"
MAX_LABEL = 64
"""Longest reason label, in ASCII characters."""

_COUNT = struct.Struct(">H")
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_STRUCT_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def malformed(detail: str) -> PeerError:
    """The error for bytes that are no encoding of anything."""
    return PeerError(MALFORMED, detail)


class Codec(Protocol):
    """Encodes one value, decodes one value at an offset. `least` and `most` bound its size in bytes."""

    least: int
    most: int

    def encode(self, value: Any) -> bytes: ...

    def decode(self, data: bytes, at: int) -> tuple[Any, int]: ...


class Integer:
    """Unsigned big-endian integer of `size` bytes."""

    def __init__(self, size: int) -> None:
        self.least = self.most = size

    def encode(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.most, "big")
        except OverflowError as error:
            raise ValueError(f"{value} does not fit {self.most} bytes") from error

    def decode(self, data: bytes, at: int) -> tuple[int, int]:
        return int.from_bytes(_take(data, at, self.most), "big"), at + self.most


class Raw:
    """Byte string of exactly `size` bytes."""

    def __init__(self, size: int) -> None:
        self.least = self.most = size

    def encode(self, value: bytes) -> bytes:
        if len(value) != self.most:
            raise ValueError(f"{len(value)} bytes where {self.most} belong")
        return bytes(value)

    def decode(self, data: bytes, at: int) -> tuple[bytes, int]:
        return _take(data, at, self.most), at + self.most


class Code:
    """One byte that names a member of an enumeration; unknown numbers are refused."""

    least = most = 1

    def __init__(self, names: type[IntEnum]) -> None:
        self._names = names

    def encode(self, value: int) -> bytes:
        return bytes((self._names(value),))

    def decode(self, data: bytes, at: int) -> tuple[IntEnum, int]:
        code = _take(data, at, 1)[0]
        try:
            return self._names(code), at + 1
        except ValueError:
            raise malformed(f"no {self._names.__name__} has number {code}") from None


class Flag:
    """One byte, 0 or 1."""

    least = most = 1

    def encode(self, value: bool) -> bytes:
        return b"\x01" if value else b"\x00"

    def decode(self, data: bytes, at: int) -> tuple[bool, int]:
        byte = _take(data, at, 1)
        if byte not in (b"\x00", b"\x01"):
            raise malformed("a flag is neither 0 nor 1")
        return byte == b"\x01", at + 1


class Label:
    """Reason label: u8 length, then `[a-z][a-z0-9_]*`, so that a peer's text is safe in logs and metrics."""

    least, most = 2, 1 + MAX_LABEL

    def encode(self, value: str) -> bytes:
        if not _LABEL.match(value):
            raise ValueError(f"not a reason label: {value!r}")
        return bytes((len(value),)) + value.encode("ascii")

    def decode(self, data: bytes, at: int) -> tuple[str, int]:
        end = at + 1 + _take(data, at, 1)[0]
        text = _take(data, at + 1, end - at - 1).decode("latin-1")
        if not _LABEL.match(text):
            raise malformed("not a reason label")
        return text, end


class Many:
    """List of `least` to `most` items behind a u16 count; without a count when both are equal."""

    def __init__(self, item: type | Codec, fewest: int, largest: int) -> None:
        self._item = layout(item) if isinstance(item, type) else item
        self._fewest, self._largest = fewest, largest
        self._counted = fewest != largest
        head = _COUNT.size if self._counted else 0
        self.least = head + fewest * self._item.least
        self.most = head + largest * self._item.most

    def encode(self, value: tuple[Any, ...]) -> bytes:
        if not self._fewest <= len(value) <= self._largest:
            raise ValueError(f"{len(value)} items where {self._fewest} to {self._largest} belong")
        head = _COUNT.pack(len(value)) if self._counted else b""
        return head + b"".join(map(self._item.encode, value))

    def decode(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        count = self._largest
        if self._counted:
            count = _COUNT.unpack(_take(data, at, _COUNT.size))[0]
            at += _COUNT.size
        if not self._fewest <= count <= self._largest:
            raise malformed(f"{count} items where {self._fewest} to {self._largest} belong")
        items = []
        decode = self._item.decode
        for _ in range(count):
            item, at = decode(data, at)
            items.append(item)
        return tuple(items), at


class _Fixed:
    """Dataclass whose fields are all plain integers and byte strings: one `struct` does it."""

    def __init__(self, cls: type, codecs: Mapping[str, Codec]) -> None:
        self._cls = cls
        kinds = (f"{c.most}s" if isinstance(c, Raw) else _STRUCT_CODES[c.most] for c in codecs.values())
        self._struct = struct.Struct(">" + "".join(kinds))
        self.least = self.most = self._struct.size
        self._get = _getter(list(codecs))
        # struct pads or cuts byte strings in silence, so their sizes are checked first.
        self._sizes = [
            (index, codec.most) for index, codec in enumerate(codecs.values()) if isinstance(codec, Raw)
        ]

    def encode(self, value: Any) -> bytes:
        values = self._get(value)
        for index, size in self._sizes:
            if len(values[index]) != size:
                raise ValueError(f"{len(values[index])} bytes where {size} belong in {self._cls.__name__}")
        try:
            return self._struct.pack(*values)
        except struct.error as error:
            raise ValueError(f"{self._cls.__name__}: {error}") from error

    def decode(self, data: bytes, at: int) -> tuple[Any, int]:
        try:
            return self._cls(*self._struct.unpack_from(data, at)), at + self.most
        except struct.error:
            raise malformed(f"{self._cls.__name__} is cut short") from None


class _Mixed:
    """Dataclass with fields of varying kinds: one codec after the other."""

    def __init__(self, cls: type, codecs: Mapping[str, Codec]) -> None:
        self._cls = cls
        self._encoders = [codec.encode for codec in codecs.values()]
        self._decoders = [codec.decode for codec in codecs.values()]
        self._get = _getter(list(codecs))
        self.least = sum(codec.least for codec in codecs.values())
        self.most = sum(codec.most for codec in codecs.values())

    def encode(self, value: Any) -> bytes:
        return b"".join([encode(part) for encode, part in zip(self._encoders, self._get(value), strict=True)])

    def decode(self, data: bytes, at: int) -> tuple[Any, int]:
        values = []
        for decode in self._decoders:
            value, at = decode(data, at)
            values.append(value)
        return self._cls(*values), at


def layout(cls: type[Any]) -> Codec:
    """The codec of a wire dataclass, read once from its annotations.

    Fields may be wire dataclasses themselves.
    """
    hints = get_type_hints(cls, include_extras=True)
    codecs = {field.name: _codec_of(hints[field.name]) for field in fields(cls)}
    plain = all(
        isinstance(codec, Raw) or (isinstance(codec, Integer) and codec.most in _STRUCT_CODES)
        for codec in codecs.values()
    )
    return _Fixed(cls, codecs) if plain and codecs else _Mixed(cls, codecs)


def _codec_of(hint: Any) -> Codec:
    if get_origin(hint) is Annotated:
        codec: Codec = get_args(hint)[1]
        return codec
    return layout(hint)


def _take(data: bytes, at: int, size: int) -> bytes:
    piece = data[at : at + size]
    if len(piece) != size:
        raise malformed("cut short")
    return piece


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What returns the values of these fields as a tuple, however many."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


Frame = TypeVar("Frame")


@dataclass(frozen=True, slots=True)
class _Entry:
    number: bytes
    codec: Codec


class Vocabulary(Generic[Frame]):
    """A numbered set of frame types: u8 type, then the body."""

    def __init__(self, types: Mapping[int, type[Any]]) -> None:
        self._by_class = {cls: _Entry(bytes((number,)), layout(cls)) for number, cls in types.items()}
        self._by_number = {entry.number[0]: entry.codec for entry in self._by_class.values()}
        self.most = 1 + max(codec.most for codec in self._by_number.values())
        """Bytes of the largest frame there is."""

    def encode(self, frame: Frame) -> bytes:
        """Type byte and body. Raises ValueError when a field does not fit."""
        entry = self._by_class[type(frame)]
        return entry.number + entry.codec.encode(frame)

    def decode(self, data: bytes, start: int = 0, end: int | None = None) -> Frame:
        """The frame in `data[start:end]`: type byte and body. Raises PeerError `malformed_frame`.

        A damaged frame may be read beyond `end` before it is refused for not ending there.
        """
        end = len(data) if end is None else end
        if start >= end:
            raise malformed("an empty frame")
        frame, at = self.decode_next(data, start)
        if at != end:
            raise malformed(f"a frame of {end - start} bytes where {at - start} belong")
        return frame

    def decode_next(self, data: bytes, start: int) -> tuple[Frame, int]:
        """The frame that begins at `start`, and where it ends, beyond `data` perhaps if that is cut short.

        Raises PeerError `malformed_frame`, and IndexError if nothing begins there.
        """
        codec = self._by_number.get(data[start])
        if codec is None:
            raise malformed("no such frame type")
        frame: Frame
        frame, at = codec.decode(data, start + 1)
        return frame, at

    def size_of(self, cls: type[Any]) -> int:
        """Bytes of the largest frame of this class, with its type byte."""
        return 1 + self._by_class[cls].codec.most


U8 = Annotated[int, Integer(1)]
U16 = Annotated[int, Integer(2)]
U32 = Annotated[int, Integer(4)]
U64 = Annotated[int, Integer(8)]
U96 = Annotated[int, Integer(12)]
Bytes8 = Annotated[bytes, Raw(8)]
Bytes16 = Annotated[bytes, Raw(16)]
Bytes20 = Annotated[bytes, Raw(20)]
Bytes32 = Annotated[bytes, Raw(32)]
Bytes64 = Annotated[bytes, Raw(64)]
Bytes65 = Annotated[bytes, Raw(65)]
Bytes256 = Annotated[bytes, Raw(256)]
Reason = Annotated[str, Label()]
YesNo = Annotated[bool, Flag()]
