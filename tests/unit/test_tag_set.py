"""Tags are a set, however many there are and wherever they would like to stand."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay import tag_set
from mixpay.tag_set import TagSet

TAGS = st.lists(st.binary(min_size=16, max_size=16) | st.integers(0, 20).map(lambda n: n.to_bytes(16, "big")))


@given(TAGS, TAGS)
def test_tags_areASet(added: list[bytes], others: list[bytes]) -> None:
    tags, known = TagSet(), set[bytes]()
    for tag in added:
        assert tags.add(tag) == (tag not in known)
        known.add(tag)
    assert len(tags) == len(known)
    assert all((tag in tags) == (tag in known) for tag in (*added, *others, bytes(16)))


def test_tagsThatWantOnePlace_areKeptApart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_set, "hash", lambda tag: 7, raising=False)
    tags, many = TagSet(), [os.urandom(16) for _ in range(300)]
    assert all(tags.add(tag) for tag in many)
    assert all(tag in tags for tag in many) and not any(tags.add(tag) for tag in many)
    assert os.urandom(16) not in tags


def test_tag_takesLessThan48Bytes() -> None:
    many = [os.urandom(16) for _ in range(100_000)]
    tracemalloc.start()
    tags = TagSet()
    for tag in many:
        tags.add(tag)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tags) == 100_000
    assert size < 48 * len(tags)
