"""Settings are read or refused by name; files are replaced whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.errors import UserError
from mixpay.files import decode_settings, load_settings, make_private_folder, quoted, write_whole


class Some(msgspec.Struct, forbid_unknown_fields=True):
    number: int = 1


def test_loadSettings_saysWhatIsWrong_andWhere(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    with pytest.raises(UserError, match=r"no configuration at .*some\.toml: run it first"):
        load_settings(path, Some, "run it")
    with pytest.raises(UserError, match="cannot read"):
        load_settings(tmp_path, Some, "run it")
    path.write_text("number = 7")
    assert load_settings(path, Some, "run it").number == 7
    for content in (b"number = 'x'", b"other = 1", b"number", b"\xff"):
        with pytest.raises(UserError, match=r"^here: "):
            decode_settings(content, Some, "here")


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x7f")))
def test_quoted_isReadBack(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


def test_quoted_refusesWhatIsNoText() -> None:
    with pytest.raises(UserError, match="cannot be written"):
        quoted("\udcff")


def test_makePrivateFolder_makesWhatIsMissingPrivate_andLeavesTheRest(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    made = there / "a" / "b" / "c"
    make_private_folder(made)
    make_private_folder(made)
    modes = [place.stat().st_mode & 0o777 for place in (there, there / "a", there / "a" / "b", made)]
    assert modes == [0o755, 0o700, 0o700, 0o700]
    (there / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_folder(there / "file")


def test_writeWhole_replaces_withTheMode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, mode in ((b"first", 0o600), (b"second", 0o644)):
        write_whole(path, content, mode)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, mode)
    assert list(tmp_path.iterdir()) == [path]


def test_writeWhole_leavesNothingBehind_whenItFails(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write"):
        write_whole(tmp_path / "folder", b"x")
    with pytest.raises(UserError, match="cannot write"):
        write_whole(tmp_path / "none" / "file", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
