"""The files of a rotation: the successor's folder, and how files change places. All may be repeated."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mixpay.errors import UserError
from mixpay.files import make_private_folder, quoted, sync, write_whole
from mixpay.keystore import Kdf
from mixpay.types import Account
from relay import config as configs
from relay.home import CONFIG, KEYS, initialise, operator_account
from relay.rotation.plan import SETTLED, SUCCESSOR, Plan, retired_folder

_DATABASES = "relay*.sqlite*"
"""With their journals: a daemon that was killed leaves some behind."""
_UP = Path("..", "..")
"""From a retired relay's folder to where it came from."""


def make_successor(folder: Path, plan: Plan, password: str, kdf: Kdf) -> Account:
    """Make `successor/`: fresh keys, and the same settings with other ports. Its operator account."""
    successor = folder / SUCCESSOR
    if not (successor / CONFIG).exists():
        text = (folder / CONFIG).read_text(encoding="utf-8")
        ports = {"link_port": str(plan.link_port), "client_port": str(plan.client_port)}
        address = configs.decode(text.encode(), str(folder / CONFIG)).listen_address
        place = {
            "deployment": quoted(str(_seen_from(folder, text, Path("..")))),
            "listen": quoted(address),  # inner ports, if there are any, are the old relay's
        }
        initialise(successor, configs.changed(text, ports | place), password, kdf)
    return operator_account(successor)


def _seen_from(folder: Path, text: str, up: Path) -> Path:
    """The deployment file's path, for settings that lie elsewhere: `up` leads back to `folder`."""
    path = Path(configs.decode(text.encode(), str(folder / CONFIG)).deployment)
    return path if path.is_absolute() else up / path


def retire(folder: Path, plan: Plan) -> None:
    """Bring the old relay's files into its folder under `retired/`, settings last. Raises UserError."""
    place = retired_folder(folder, plan)
    try:
        make_private_folder(place)
        (folder / "api.json").unlink(missing_ok=True)
        for path in sorted(folder.glob(_DATABASES)):
            path.replace(place / path.name)
        if (folder / KEYS).exists():
            (folder / KEYS).replace(place / KEYS)
        if (folder / CONFIG).exists():
            text = (folder / CONFIG).read_text(encoding="utf-8")
            # A port that was chosen for the interface is the successor's from now on.
            changes = {"api_port": "0", "deployment": quoted(str(_seen_from(folder, text, _UP)))}
            write_whole(place / CONFIG, configs.changed(text, changes).encode())
            sync(place)
            (folder / CONFIG).unlink()
        if not (place / "relay.sqlite").exists() and not list(place.glob("relay-*.sqlite")):
            (place / SETTLED).touch(0o600)  # no daemon ever ran: nothing was promised to anybody
        sync(folder)
        sync(place)
    except OSError as error:
        raise UserError(f"cannot move the old relay's files to {place}: {error.strerror}") from None


def promote(folder: Path) -> None:
    """Bring the successor's files to their places. Raises UserError."""
    successor = folder / SUCCESSOR
    try:
        if (successor / KEYS).exists():
            (successor / KEYS).replace(folder / KEYS)
        if (successor / CONFIG).exists():
            text = (successor / CONFIG).read_text(encoding="utf-8")
            path = Path(configs.decode(text.encode(), str(successor / CONFIG)).deployment)
            if not path.is_absolute():
                back = os.path.normpath(SUCCESSOR / path)
                text = configs.changed(text, {"deployment": quoted(back)})
            write_whole(folder / CONFIG, text.encode())
            (successor / CONFIG).unlink()
        for path in sorted(successor.glob(_DATABASES)):  # if somebody has run it there
            path.replace(folder / path.name)
        # Drafts are what a process that was killed was about to write.
        for leftover in (*successor.glob("*.lock"), *successor.glob("*.new"), successor / "api.json"):
            leftover.unlink(missing_ok=True)
        with suppress(OSError):  # what we do not know we do not delete
            successor.rmdir()
        sync(folder)
    except OSError as error:
        raise UserError(f"cannot move the new relay's files to {folder}: {error.strerror}") from None
