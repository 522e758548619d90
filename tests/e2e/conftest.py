"""Fixtures for several modules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from relay_world import RelayWorld


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayWorld]:
    """Nine relays that serve, one world for each test module."""
    from relay_world import running  # loaded when it is used

    async with running(tmp_path_factory.mktemp("world")) as world:
        yield world
