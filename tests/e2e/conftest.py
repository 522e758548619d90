"""Fixtures for several modules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from relay_world import RelayWorld


_LONGEST = ("test_trouble.py", "test_demo.py", "test_chaos.py", "test_devnet.py", "test_bench.py")
_LONGEST += ("test_sponsoring.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: who runs several at a time should not wait for one of them at the end."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayWorld]:
    """Nine relays that serve, one world for each test module."""
    from relay_world import running  # loaded when it is used

    async with running(tmp_path_factory.mktemp("world")) as world:
        yield world
