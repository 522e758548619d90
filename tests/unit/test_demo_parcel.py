"""What Alice sends is checked before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpay.demo import parcel
from mixpay.demo.parcel import read_parcel
from mixpay.envelope import CHUNK_BYTES, MAX_MESSAGE
from mixpay.errors import UserError


def file_of(folder: Path, size: int, name: str = "file.bin") -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    return path


@pytest.mark.parametrize(("size", "packets"), [(0, 1), (1, 1), (CHUNK_BYTES, 2), (MAX_MESSAGE, 534)])
def test_readParcel_countsPackets(tmp_path: Path, size: int, packets: int) -> None:
    found = read_parcel(file_of(tmp_path, size))
    assert (found.name, len(found.content), found.packets) == ("file.bin", size, packets)


def test_readParcel_failsIfTheFileIsTooLarge(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="over 1048576 bytes"):
        read_parcel(file_of(tmp_path, MAX_MESSAGE + 1))


def test_readParcel_failsIfTheFileIsEndless() -> None:
    with pytest.raises(UserError, match="over 1048576 bytes"):
        read_parcel(Path("/dev/zero"))


def test_readParcel_failsIfThereIsNoFile(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_parcel(tmp_path / "absent")
    with pytest.raises(UserError, match="Is a directory"):
        read_parcel(tmp_path)


def test_readParcel_takesTheReadme() -> None:
    assert read_parcel(None).name == "README.md"


def test_readParcel_failsIfThereIsNoReadme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "README", tmp_path / "README.md")
    with pytest.raises(UserError, match="--file"):
        read_parcel(None)


def test_unpack_writesTheSameBytes(tmp_path: Path) -> None:
    path = file_of(tmp_path, 10)
    found = read_parcel(path)
    path.write_bytes(b"changed meanwhile")
    assert found.unpack(tmp_path / "out").read_bytes() == bytes(10)


def test_largeParcel_takesLongEnoughToKillARelay() -> None:
    found = parcel.large_parcel()
    assert (len(found.content), found.packets) == (96 << 10, 51)
