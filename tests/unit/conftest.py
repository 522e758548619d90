"""Fixtures for several modules. What is heavy is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from chain_world import World
    from mixpay.chain.devchain import DevChain

# A busy machine must not fail a test: no test asserts a wall-clock time, nor does the tool for us.
settings.register_profile("mixpay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mixpay")


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
