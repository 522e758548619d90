"""Fixtures for several modules. What is heavy is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chain_world import World

    from mixpay.chain.devchain import DevChain


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    """A development chain, one for each test module."""
    from mixpay.chain.devchain import DevChain

    with DevChain() as running:
        yield running


@pytest.fixture(scope="module")
def world(chain: DevChain) -> World:
    """The contracts on it, once for each test module."""
    from chain_world import World

    return World(chain)
