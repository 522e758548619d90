"""A backup becomes a relay's folder again: all of it or nothing, and nothing that is sound is replaced.

Everything is unpacked and checked beside the folder first. Then

    no folder there  the unpacked one is given its name, at once
    a folder there   only databases that are missing or damaged, and other files that are missing, are put in
                     their places; a damaged database is kept beside. That is undone when it fails. A crash
                     in the middle may leave a part of it: repeating it does the rest

Before the first database is in its place, `keys/restored` says that it is an old copy, and what the daemon
therefore does not do any more (`relay/keys/restored.py`). The record of signed epochs never goes back: the
newer of the two counts, for each registry.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mixpay.accounts import show_account
from mixpay.errors import UserError
from mixpay.files import make_private_folder, sync
from relay import config
from relay.backup import archive
from relay.backup.archive import CONFIG_FILE, DATABASE, DEPLOYMENT_FILE, Contents
from relay.home import KEYS, LINK_KEY, OPERATOR_KEY, RESTORED, SIGNED_EPOCHS, operator_account
from relay.keys import restored, signed_epochs
from relay.keys.restored import Restored
from relay.store import copies
from relay.store.files import FileLock

_JOURNALS = ("", "-wal", "-shm")
"""A database's files, by what is added to its name: an old journal beside a restored file would ruin it."""
_NEEDED = {CONFIG_FILE, DEPLOYMENT_FILE, f"{KEYS}/{OPERATOR_KEY}.json", f"{KEYS}/{LINK_KEY}.json"}
_RECORDS = {f"{KEYS}/{RESTORED}", f"{KEYS}/{SIGNED_EPOCHS}"}


@dataclass(frozen=True, slots=True)
class Done:
    """What was restored: files put in place, databases that were sound and stay, damaged ones beside."""

    contents: Contents
    put: list[str]
    whole: list[str]
    aside: list[str]
    deployment_missing: bool
    """Whether the settings name a deployment file that is not there; the backup's is in the folder."""


def restore(source: Path, folder: Path) -> Done:
    """Restore the backup `source` into `folder`.

    Raises UserError, with everything as it was, if it is not a whole backup, if a daemon runs in the folder,
    or if a relay is there that lacks nothing or is another one.
    """
    try:
        make_private_folder(folder.parent)
        is_there = folder.exists()
        beside = folder if is_there else folder.parent  # a folder may be a file system of its own
        with tempfile.TemporaryDirectory(prefix=".restore.", dir=beside) as place:
            stage = Path(place) / "folder"
            stage.mkdir(0o700)
            contents = archive.read(source, stage)
            _check(source, stage, contents)
            if not is_there:
                return _fresh(stage, folder, contents)
            with _locked(_databases(folder) | set(contents.databases), folder):
                return _mend(stage, folder, contents)
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}") from None


def _check(source: Path, stage: Path, contents: Contents) -> None:
    """Raise UserError unless what was unpacked is a relay that a daemon could begin with."""
    names = {entry.name for entry in contents.files}
    if missing := _NEEDED - names:
        raise UserError(f"{source} is not a whole backup: {min(missing)} is not in it")
    config.load(stage / CONFIG_FILE)
    if show_account(operator_account(stage)) != contents.operator:
        raise UserError(f"{source} is not a whole backup: its key is not that of its relay")
    for name in contents.databases:
        copies.require_sound(stage / name)
    signed_epochs.read_all(stage / KEYS / SIGNED_EPOCHS)
    restored.read(stage / KEYS / RESTORED)


def _databases(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if DATABASE.fullmatch(path.name)}


@contextmanager
def _locked(names: set[str], folder: Path) -> Iterator[None]:
    """Keep daemons from these databases. Raises UserError if one runs."""
    with ExitStack() as stack:
        for name in sorted(names):
            stack.callback(FileLock(folder / name).release)
        yield


def _deployment_missing(folder: Path) -> bool:
    return not (folder / config.load(folder / CONFIG_FILE).deployment).is_file()


# ---------------------------------------------------------------------- no folder there


def _fresh(stage: Path, folder: Path, contents: Contents) -> Done:
    Restored(contents.made_at).write(stage / KEYS / RESTORED)
    for place in (stage / KEYS, stage):
        sync(place)
    stage.rename(folder)
    sync(folder.parent)
    put = [entry.name for entry in contents.files if entry.name not in _RECORDS]
    return Done(contents, put, [], [], _deployment_missing(folder))


# ---------------------------------------------------------------------- a folder there


def _mend(stage: Path, folder: Path, contents: Contents) -> Done:
    """Put what is missing or damaged in its place."""
    _require_same_relay(folder, contents)
    sound = {name for name in _databases(folder) if _is_sound(folder / name)}
    put = [name for name in contents.databases if name not in sound]
    others = [entry.name for entry in contents.files if not DATABASE.fullmatch(entry.name)]
    missing = [name for name in others if name not in _RECORDS and not (folder / name).exists()]
    if not put and not _NEEDED.intersection(missing) - {DEPLOYMENT_FILE}:
        raise UserError(
            f"there is a relay in {folder}, and its databases are sound: nothing is to be restored"
        )
    record = _joined_record(stage, folder, contents, sound)
    make_private_folder(folder / KEYS)
    with ExitStack() as undo:
        _write_records(undo, stage, folder, record)
        for name in missing:
            _move(undo, stage / name, folder / name)
        aside = [kept for name in put for kept in _set_aside(undo, folder, name)]
        for name in put:
            _move(undo, stage / name, folder / name)
        for place in (folder / KEYS, folder):
            sync(place)
        undo.pop_all()
    return Done(contents, [*missing, *put], sorted(record.whole), aside, _deployment_missing(folder))


def _require_same_relay(folder: Path, contents: Contents) -> None:
    if not (folder / KEYS / f"{OPERATOR_KEY}.json").exists():
        return
    there = show_account(operator_account(folder))
    if there != contents.operator:
        raise UserError(
            f"the relay in {folder} has the operator {there}, that of the backup {contents.operator}: choose "
            "another folder with --home"
        )


def _is_sound(path: Path) -> bool:
    try:
        copies.require_sound(path)
    except UserError:
        return False
    return True


def _joined_record(stage: Path, folder: Path, contents: Contents, sound: set[str]) -> Restored:
    """Sound databases that never were a copy, by all that is known."""
    whole = frozenset(sound)
    for place in (stage, folder):
        before = restored.read(place / KEYS / RESTORED)
        if before is not None:
            whole &= before.whole
    return Restored(contents.made_at, whole)


def _write_records(undo: ExitStack, stage: Path, folder: Path, record: Restored) -> None:
    """Both records beside the keys, before any database is in its place."""
    marker = folder / KEYS / RESTORED
    if marker.exists():
        before = marker.read_bytes()
        undo.callback(lambda: marker.write_bytes(before))
    else:
        undo.callback(lambda: marker.unlink(missing_ok=True))
    record.write(marker)
    signed_epochs.join(folder / KEYS / SIGNED_EPOCHS, stage / KEYS / SIGNED_EPOCHS)


def _set_aside(undo: ExitStack, folder: Path, name: str) -> list[str]:
    """Rename a damaged database and its journals; their new names."""
    number = 1
    while any((folder / f"{name}.damaged-{number}{more}").exists() for more in _JOURNALS):
        number += 1
    kept = []
    for more in _JOURNALS:
        if (folder / f"{name}{more}").exists():
            kept.append(f"{name}.damaged-{number}{more}")
            _move(undo, folder / f"{name}{more}", folder / kept[-1])
    return kept


def _move(undo: ExitStack, source: Path, target: Path) -> None:
    if target.exists():
        raise FileExistsError(None, f"{target} has just been made by somebody else")
    shutil.move(source, target)
    undo.callback(lambda: source.exists() or target.rename(source))
