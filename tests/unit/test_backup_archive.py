"""A backup's file: what is written comes back; whatever else it is given, the reader refuses."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mixpay.errors import UserError
from relay.backup import archive
from relay.backup.archive import Contents, Entry

FILES = {"relay.toml": b"rpc = 1\n", "relay-2.sqlite": os.urandom(70_000), "keys/link.json": b""}
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A good one."""
    folder = tmp_path / "folder"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    entries = [archive.entry_of(folder, name) for name in FILES]
    archive.write(folder, Contents(1_700_000_000, "0x11", "mixpay 0", entries), tmp_path / "whole")
    return tmp_path / "whole"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def rewrite(path: Path, changed: Members) -> None:
    with tarfile.open(path, "w") as tar:
        for info, content in changed:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))


def named(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def listed(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the list, with its right checksum."""
    found = members(path)
    content = msgspec.json.decode(found[0][1])
    change(content)
    found[0] = found[0][0], msgspec.json.encode(content)
    found[-1] = found[-1][0], archive._digest(found[0][1])
    rewrite(path, found)


def test_whatIsWritten_isReadAgain(whole: Path, out: Path) -> None:
    assert whole.stat().st_mode & 0o777 == 0o600
    contents = archive.read(whole, out)
    assert {entry.name: (out / entry.name).read_bytes() for entry in contents.files} == FILES
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o600}
    assert (out / "keys").stat().st_mode & 0o777 == 0o700
    assert (contents.made_at, contents.operator) == (1_700_000_000, "0x11")
    assert contents.databases == ["relay-2.sqlite"]
    assert [info.name for info, _ in members(whole)] == ["backup.json", *FILES, "SHA256"]


def test_write_replacesNothing(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        archive.write(tmp_path / "folder", Contents(1, "", "", []), whole)


def test_fileCutShortAnywhere_isRefused(whole: Path, out: Path) -> None:
    content = whole.read_bytes()
    end = content.rindex(b"SHA256") + 512 + 64  # where the last byte of the last file is
    for size in [*range(0, 2_000, 97), *range(2_000, end, 4_099), end - 1]:
        whole.write_bytes(content[:size])
        place = out / str(size)
        place.mkdir()
        with pytest.raises(UserError, match=r"is not a backup of a relay, or not a whole one"):
            archive.read(whole, place)


def test_changedByteAnywhere_isRefused_orChangesNothing(whole: Path, out: Path) -> None:
    content = whole.read_bytes()
    used = content.rindex(b"SHA256") + 1_024
    for at in [*range(0, 2_600, 7), *range(2_600, used - 2_600, 1_999), *range(used - 2_600, used, 7)]:
        changed = bytearray(content)
        changed[at] ^= 0x41
        whole.write_bytes(changed)
        place = out / str(at)
        place.mkdir()
        try:
            contents = archive.read(whole, place)
        except UserError:
            continue
        assert {entry.name: (place / entry.name).read_bytes() for entry in contents.files} == FILES
        assert (contents.made_at, contents.operator) == (1_700_000_000, "0x11")


STRANGERS = [
    named("../evil"),
    named("/etc/evil"),
    named("keys/../../evil"),
    named("relay.toml/evil"),
    named("keys/evil.sh"),
    named("api.json"),
    named("relay-0.sqlite"),
    named("relay.sqlite-wal"),
    named("relay.sqlite", tarfile.SYMTYPE, "/etc/passwd"),
    named("relay.sqlite", tarfile.LNKTYPE, "relay.toml"),
    named("keys", tarfile.DIRTYPE),
    named("relay.sqlite", tarfile.FIFOTYPE),
    named("relay.sqlite", tarfile.CHRTYPE),
    named("relay.toml"),
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda info: f"{info.name} {info.type.decode()}")
@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_strangersInTheTar_areRefused(whole: Path, out: Path, stranger: tarfile.TarInfo, at: int) -> None:
    found = members(whole)
    found.insert(at, (stranger, b"evil"))
    rewrite(whole, found)
    with pytest.raises(UserError, match="is not a backup"):
        archive.read(whole, out)
    assert not [path for path in out.parent.rglob("*evil*") if not path.is_relative_to(out.parent / "folder")]
    assert not any(path.is_symlink() for path in out.rglob("*"))


@pytest.mark.parametrize("name", ["../evil", "/evil", "backup.json", "SHA256", "keys/evil.sh"])
def test_namesInTheList_areNoWayOutEither(whole: Path, out: Path, name: str) -> None:
    def change(content: dict[str, object]) -> None:
        content["files"].append(msgspec.to_builtins(Entry(name, 4, "00")))  # type: ignore[attr-defined]

    listed(whole, change)
    with pytest.raises(UserError, match="is not a backup"):
        archive.read(whole, out)


def test_newerVersion_isNamed_whateverElseIsInIt(whole: Path, out: Path) -> None:
    listed(whole, lambda content: (content.update(version=2), content.pop("files")))
    with pytest.raises(UserError, match="written by a newer release of the relay: install that one"):
        archive.read(whole, out)


def test_otherTars_andOtherFiles_areRefused(whole: Path, out: Path) -> None:
    listed(whole, lambda content: content.update(format="another"))
    with pytest.raises(UserError, match="it is something else"):
        archive.read(whole, out)
    rewrite(whole, [(named("relay.toml"), b"x")])
    for content in (whole.read_bytes(), b"", b"hello" * 1_000, b"\0" * 20_480):
        whole.write_bytes(content)
        with pytest.raises(UserError, match="is not a backup"):
            archive.read(whole, out)
    with pytest.raises(UserError, match="cannot read"):
        archive.read(whole.with_name("none"), out)
    with pytest.raises(UserError, match="cannot read"):
        archive.read(out, out)


def test_listOfAbsurdSize_isNotRead(whole: Path, out: Path) -> None:
    found = members(whole)
    found[0] = found[0][0], found[0][1] + b" " * (1 << 20)
    rewrite(whole, found)
    with pytest.raises(UserError, match="is not a backup"):
        archive.read(whole, out)


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
def test_whatIsListed_mustBeThere_inOrder(whole: Path, out: Path, gone: int) -> None:
    found = members(whole)
    taken = found.pop(gone)
    rewrite(whole, found)
    with pytest.raises(UserError, match="is not a backup"):
        archive.read(whole, out)
    found.append(taken)
    rewrite(whole, found)
    if gone < 4:
        with pytest.raises(UserError, match="is not a backup"):
            archive.read(whole, out / "again")
