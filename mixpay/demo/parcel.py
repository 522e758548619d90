"""The file that Alice sends, read and checked before anything is started."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mixpay import envelope
from mixpay.errors import UserError

README = Path(__file__).resolve().parents[2] / "README.md"
"""Sent by default; only a checkout has it."""

_LARGE = 96 << 10
"""Bytes: four seconds of sending."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file's base name and content, and how many packets it takes if none is lost."""

    name: str
    content: bytes = field(repr=False)
    packets: int

    def unpack(self, folder: Path) -> Path:
        """Write it into a new folder; its path. So the file may change while the demo runs."""
        folder.mkdir()
        path = folder / self.name
        path.write_bytes(self.content)
        return path


def large_parcel() -> Parcel:
    """Random bytes, whose sending takes long enough for a relay to be killed meanwhile."""
    return _parcel("random.bin", os.urandom(_LARGE))


def read_parcel(path: Path | None) -> Parcel:
    """Read the file, or the README for None.

    Raises UserError if it cannot be read or sent: it is absent, no file, over 1 MiB, or its name too long.
    """
    if path is None and not README.exists():
        raise UserError("there is no README.md beside this installation: name a file with --file")
    chosen = path or README
    try:
        # Read no more than can be sent: what is named may be endless.
        with chosen.open("rb") as file:
            content = file.read(envelope.MAX_MESSAGE + 1)
    except OSError as error:
        raise UserError(f"cannot read {chosen}: {error.strerror}") from None
    if len(content) > envelope.MAX_MESSAGE:
        raise UserError(f"{chosen} has over {envelope.MAX_MESSAGE} bytes (1 MiB), the most that can be sent")
    return _parcel(str(chosen), content)


def _parcel(path: str, content: bytes) -> Parcel:
    message = envelope.file_message(path, content)
    return Parcel(message.name, content, len(envelope.fragments(message, os.urandom)))
