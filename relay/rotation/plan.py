"""Where a rotation stands: a file in the relay's folder, written before each step that it names.

    preparing     the successor's folder is being made                   to be taken back by deleting both
    registering   the successor is registered, then the old relay leaves  the old relay serves, if it is run
    retiring      the old relay's files go into `retired/`               nothing may run here
    promoting     the successor's files take their places                nothing may run here
    winding up    both run: `mixpay-relay run` takes up both
    (no file)     nothing is left of the old key, or there is no rotation

Every step may be repeated from its beginning, whatever of it was done before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mixpay.errors import UserError
from mixpay.files import write_whole
from mixpay.typed import typed

PLAN = "rotation.json"
SUCCESSOR = "successor"
RETIRED = "retired"
SETTLED = "settled"
"""A file in a retired relay's folder: everything is settled and claimed, and no daemon is needed for it."""

Stage = Literal["preparing", "registering", "retiring", "promoting", "winding up"]
_Hex = Annotated[str, msgspec.Meta(pattern="^0x[0-9a-f]{40}$")]
_Port = Annotated[int, msgspec.Meta(ge=1, lt=1 << 16)]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation under way. Accounts in hexadecimal; `capital` in token units, `gas` in wei, as text."""

    stage: Stage
    old: _Hex
    new: _Hex | None = None
    """Once its key is made."""
    link_port: _Port
    client_port: _Port
    capital: str
    gas: str

    def at(self, stage: Stage, new: str | None = None) -> Plan:
        """The same, further on."""
        return msgspec.structs.replace(self, stage=stage, new=new or self.new)


def read(folder: Path) -> Plan | None:
    """The rotation under way in a relay's folder, or None. Raises UserError if it cannot be told."""
    path = folder / PLAN
    try:
        return msgspec.json.decode(path.read_bytes(), type=typed(Plan))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"{path} is damaged ({error}): put back a copy of it") from None


def write(folder: Path, plan: Plan) -> None:
    """Have it on disk. Raises UserError."""
    write_whole(folder / PLAN, msgspec.json.format(msgspec.json.encode(plan)) + b"\n")


def require_whole(folder: Path) -> None:
    """Raise UserError while files are changing places: neither relay is whole then."""
    plan = read(folder)
    if plan is not None and plan.stage in ("retiring", "promoting"):
        raise UserError(
            f"changing the operator key of {folder} was interrupted: run `mixpay-relay rotate-key` again, "
            "which goes on where it stopped"
        )


def retired_folder(folder: Path, plan: Plan) -> Path:
    """Where the old relay's files are from `retiring` on."""
    return folder / RETIRED / plan.old


def retired_folders(folder: Path) -> list[Path]:
    """Of old keys for which a daemon still has something to do."""
    found = sorted((folder / RETIRED).glob("0x*")) if (folder / RETIRED).is_dir() else []
    return [path for path in found if not (path / SETTLED).exists()]
