"""For which epochs this relay has signed packet keys: a file of its own, outside the database.

A second key for an epoch is an equivocation and costs stake. So a daemon whose database was lost, or replaced
by an older copy, must still know for which epochs it may not make a key any more. Rules:

  * An epoch is on disk here before its descriptor is signed. The file may name one that was never signed; it
    never misses one that was.
  * Keys are made in the order of epochs, so one number for each registry speaks for all epochs up to it.
  * Daemons for several releases run in one process and keep their numbers in one file. If two of them had the
    same registry, what one has signed for the other may not.

It lies with the keys, because whoever moves a relay to another machine copies those. It holds no secret.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

from mixpay.eip712 import Domain
from mixpay.errors import UserError
from mixpay.files import make_private_folder, write_whole
from mixpay.types import Epoch

_HEAD = (
    "# The last epoch for which this relay has signed a packet key: chain, registry, epoch.\n"
    "# Another key for it, or for one before it, would cost stake: keep this file with the keys, and never\n"
    "# run two daemons with them.\n"
)
_LINE = re.compile(r"(\d{1,20} 0x[0-9a-f]{40}) (\d{1,10})")


_WRITING = threading.Lock()


class SignedEpochs:
    """The record of one relay in one registry, whose `domain` it is.

    Raises UserError when the file cannot be read or is damaged.
    """

    def __init__(self, path: Path, domain: Domain) -> None:
        self._path = path
        self._place = f"{domain.chain_id} 0x{domain.contract.hex()}"
        self._newest = read_all(path).get(self._place)

    @property
    def newest(self) -> Epoch | None:
        """The last epoch that a key was, or may have been, signed for; None if there is none."""
        return self._newest

    def read(self) -> Epoch | None:
        """The newest epoch on disk; another release's daemon may have added it. Blocks; raises UserError."""
        self._newest = read_all(self._path).get(self._place, self._newest)
        return self._newest

    def add(self, epoch: Epoch) -> None:
        """Have this epoch, and all before it, on disk as signed. Blocks; raises UserError if that fails."""
        if self._newest is not None and epoch <= self._newest:
            return
        with _WRITING:
            epochs = read_all(self._path)
            newest = epochs[self._place] = max(epoch, epochs.get(self._place, epoch))
            _write(self._path, epochs)
            self._newest = newest


def join(path: Path, other: Path) -> None:
    """Have in `path`, for each registry, the newer epoch of both records. Raises UserError."""
    with _WRITING:
        epochs, more = read_all(path), read_all(other)
        newest = {place: max(epochs.get(place, last), last) for place, last in more.items()}
        if more:
            _write(path, epochs | newest)


def _write(path: Path, epochs: dict[str, Epoch]) -> None:
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    lines = (f"{place} {last}\n" for place, last in sorted(epochs.items()))
    write_whole(path, (_HEAD + "".join(lines)).encode())


def read_all(path: Path) -> dict[str, Epoch]:
    """The last epoch by chain and registry; empty if there is no file. Raises UserError."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _damaged(path) from None
    found = [_LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    if not found or None in found:
        raise _damaged(path)
    return {match[1]: Epoch(int(match[2])) for match in found if match is not None}


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged: put back a copy. Without one, delete it; the relay then asks others for which "
        "epochs it has signed a packet key"
    )
