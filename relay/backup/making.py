"""A backup of a relay's folder: settings, keys, the records beside them, every release's database.

The daemon may run: nothing of it is stopped, locked or asked. Databases come first and the record of signed
epochs last, so that it is newer than they are. What only a running daemon needs (`api.json`, locks, journals)
stays out, and what no copy may keep (`relay/store/copies.py`).
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mixpay import __version__, keystore
from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.errors import UserError
from mixpay.files import make_private_folder, sync
from relay import config
from relay.backup import archive
from relay.backup.archive import CONFIG_FILE, DATABASE, DEPLOYMENT_FILE, Contents
from relay.home import KEYS, LINK_KEY, OPERATOR_KEY, RESTORED, SIGNED_EPOCHS, operator_account
from relay.keys import restored, signed_epochs
from relay.store import copies


def back_up(folder: Path, target: Path, now: int, *, replace: bool = False) -> Contents:
    """Make the file `target`, whole or not at all; `now` in seconds since 1970.

    Raises UserError if there is no relay in `folder`, if something of it is damaged, or if `target` is there
    already and is not to be replaced.
    """
    if target.exists() and not replace:
        raise UserError(f"{target} is there already: name another file, or let --replace take its place")
    operator = show_account(operator_account(folder))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
            stage = Path(place) / "folder"
            names = _gather(folder, stage)
            files = [archive.entry_of(stage, name) for name in names]
            contents = Contents(now, operator, f"mixpay {__version__}", files)
            archive.write(stage, contents, Path(place) / "whole")
            _put(Path(place) / "whole", target, replace=replace)
    except FileExistsError:
        raise UserError(f"{target} has just been made by somebody else: name another file") from None
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from None
    return contents


def _gather(folder: Path, stage: Path) -> list[str]:
    """Copy everything that belongs into a backup, checked; the names."""
    settings = config.load(folder / CONFIG_FILE)
    deployment = folder / settings.deployment
    deployments.load(deployment)
    make_private_folder(stage / KEYS)
    shutil.copyfile(folder / CONFIG_FILE, stage / CONFIG_FILE)
    shutil.copyfile(deployment, stage / DEPLOYMENT_FILE)
    databases = sorted(path.name for path in folder.iterdir() if DATABASE.fullmatch(path.name))
    for name in databases:
        copies.copy(folder / name, stage / name)
        copies.require_sound(stage / name)
    return [CONFIG_FILE, DEPLOYMENT_FILE, *databases, *_gather_keys(folder, stage)]


def _gather_keys(folder: Path, stage: Path) -> list[str]:
    """Key files as they are, encrypted; the records beside them."""
    keys = keystore.names(folder / KEYS)
    for name in (OPERATOR_KEY, LINK_KEY):
        if name not in keys:
            raise UserError(f"there is no key {folder / KEYS / name}.json: put back a copy of it")
    names = [f"{KEYS}/{name}.json" for name in keys]
    restored.read(folder / KEYS / RESTORED)
    signed_epochs.read_all(folder / KEYS / SIGNED_EPOCHS)
    records = [f"{KEYS}/{name}" for name in (RESTORED, SIGNED_EPOCHS) if (folder / KEYS / name).exists()]
    for name in (*names, *records):
        shutil.copyfile(folder / name, stage / name)
    return [*names, *records]


def _put(whole: Path, target: Path, *, replace: bool) -> None:
    """Give the file its name; nobody sees half of it. Raises FileExistsError, OSError."""
    if not replace:
        # Not a hard link: a backup may lie on a stick whose file system has none.
        target.touch(0o600, exist_ok=False)
    whole.replace(target)
    sync(target.parent)
