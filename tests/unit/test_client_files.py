"""Saving received files: never over another one, never half."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.client.files import numbered, save_new
from mixpay.envelope import safe_name
from mixpay.errors import UserError


def test_saveNew_addsANumber_whenTheNameIsTaken(tmp_path: Path):
    folder = tmp_path / "in" / "here"
    paths = [save_new(folder, "a.tar", b"%d" % n) for n in range(3)]
    assert [path.name for path in paths] == ["a.tar", "a (1).tar", "a (2).tar"]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2"]
    assert len(list(folder.iterdir())) == 3, "no drafts are left"


def test_saveNew_doesNotFollowALink(tmp_path: Path):
    target = tmp_path / "target"
    (tmp_path / "a").symlink_to(target)
    assert save_new(tmp_path, "a", b"x").name == "a (1)"
    assert not target.exists()


def test_saveNew_saysSo_whenTheFolderCannotBeWritten(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="the message is kept"):
        save_new(tmp_path / "file", "a", b"x")


def test_numbered_keepsASuffix_andADotInFront():
    assert list(islice(numbered("a"), 2)) == ["a", "a (1)"]
    assert list(islice(numbered("photo.old.jpg"), 2)) == ["photo.old.jpg", "photo.old (1).jpg"]


@given(name=st.text(min_size=1, max_size=300))
def test_numbered_namesAreDistinctAndNotTooLong(name: str):
    names = list(islice(numbered(safe_name(name)), 12))
    assert len(set(names)) == 12
    assert all(0 < len(candidate.encode()) <= 255 for candidate in names)
    assert not any("/" in candidate for candidate in names)
