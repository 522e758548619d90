"""Which databases were restored from a backup: a file of its own, beside the keys.

A backup is as old as its moment, and what the relay promised after it is forgotten, while its peers remember:
ticket numbers, places in batches, replay tags, packet keys. No number can be skipped that would put that
right, for places and batches are the payees' to give. So with a restored database a relay

    serves no more   no packet keys, no passes, no tickets on either side of any link (I9, I11, and no second
                     key for an epoch);
    pays             what it knows to owe, on the link, and whatever a payee brings to court, for that bears
                     its own signatures;
    collects         the vouchers it holds and the newer ones that payers repeat, receipts of unsettled
                     batches, passes, what courts have judged.

Then it leaves. Its operator makes another relay, with keys that nobody has books about.

The same holds for databases that are made anew in the folder, for one may have been lost with the disk; not
for those that were there, sound, when another one was restored. It lies with the keys, because whoever moves
a relay to another machine copies those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mixpay.errors import UserError
from mixpay.files import write_whole

SERVES_NO_MORE = (
    "restored from a backup: this relay carries no packets any more. Let it run until payers have repeated "
    "their vouchers and everything is claimed, then `mixpay-relay leave`; to serve again, make another relay "
    "with `mixpay-relay init` in another folder"
)
_HEAD = (
    "# This relay was restored from a backup (time of the backup, in seconds), so what it promised after it\n"
    "# is forgotten: it carries no packets any more, or it would promise things twice. Keep this file with\n"
    "# the keys. Databases that were sound then, and are used as before, are named as whole.\n"
)
_LINE = re.compile(r"(backup) (\d{1,12})|(whole) (relay(?:-[1-9]\d{0,9})?\.sqlite)")


@dataclass(frozen=True, slots=True)
class Restored:
    """`made_at`: when the backup was made, seconds since 1970; `whole`: databases that are no copies."""

    made_at: int
    whole: frozenset[str] = frozenset()

    def write(self, path: Path) -> None:
        """Have it on disk. Raises UserError if that fails."""
        lines = [f"backup {self.made_at}", *(f"whole {name}" for name in sorted(self.whole))]
        write_whole(path, (_HEAD + "".join(f"{line}\n" for line in lines)).encode())


def read(path: Path) -> Restored | None:
    """The record; None if nothing was restored. Raises UserError if it cannot be read or is damaged."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _damaged(path) from None
    found = [_LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    times = [int(match[2]) for match in found if match is not None and match[1]]
    if None in found or len(times) != 1:
        raise _damaged(path)
    return Restored(times[0], frozenset(match[4] for match in found if match is not None and match[3]))


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged: put back a copy. Without one, write the single line `backup 0` into it: the "
        "relay then carries no packets any more, and collects what it is owed"
    )
