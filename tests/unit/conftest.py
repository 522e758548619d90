"""Fixtures for several modules. What is heavy is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chain_world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A development chain with the contracts on it, one for each test module."""
    from chain_world import running_world

    with running_world() as found:
        yield found
