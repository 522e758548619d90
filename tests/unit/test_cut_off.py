"""Since when a peer is cut off: told once, through restarts, until it has put things right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpay.types import RelayId
from relay.path.books import Side
from relay.path.cut_off import CutOffs
from relay.store import RelayStore, setting_op

PEER = RelayId(7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sqlite"


async def test_since_isTheFirstTime_throughRestarts(path: Path) -> None:
    store = RelayStore(path)
    cut_offs = CutOffs(store, lambda: 100)
    assert cut_offs.since(Side.PAYER, PEER) is None
    cut_offs.begin(Side.PAYER, PEER)
    await store.close()

    store = RelayStore(path)
    later = CutOffs(store, lambda: 200)
    later.begin(Side.PAYER, PEER)  # whatever it sends, it is refused again
    assert later.since(Side.PAYER, PEER) == 100
    assert later.since(Side.PAYEE, PEER) is None
    await store.close()


async def test_end_isForgotten_onDiskToo(path: Path) -> None:
    store = RelayStore(path)
    cut_offs = CutOffs(store, lambda: 100)
    cut_offs.begin(Side.PAYER, PEER)
    cut_offs.end(Side.PAYER, PEER)
    cut_offs.end(Side.PAYEE, PEER)
    assert cut_offs.since(Side.PAYER, PEER) is None
    await store.close()

    store = RelayStore(path)
    assert CutOffs(store, lambda: 200).since(Side.PAYER, PEER) is None
    await store.close()


async def test_whatCannotBeRead_isUnknown(path: Path) -> None:
    store = RelayStore(path)
    await store.written([setting_op(f"cut off:{Side.PAYER.value}:{PEER}", b"?")])
    assert CutOffs(store, lambda: 200).since(Side.PAYER, PEER) is None
    await store.close()
