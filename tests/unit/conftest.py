"""Fixtures for several modules. What is heavy is imported when it is used."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from chain_world import World
    from mixpay.chain.devchain import DevChain
    from mixpay.sponsor.store import Place
    from relay_parts import Node, Parts

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


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    """Nine relays without sockets and without a chain."""
    from relay_parts import Parts

    made = Parts(tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def mix(parts: Parts) -> Node:
    """Mix 1 of the usual path, with links from its entry and to its next hop."""
    from relay.path.books import Side

    entry, mix1, mix2, _, _ = parts.path()
    node = await parts.node(mix1)
    node.link(Side.PAYER, entry)
    node.link(Side.PAYEE, mix2)
    return node


_SCHEMAS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a private server. Without PostgreSQL such tests are skipped, but in CI they fail."""
    from bench.postgres import NoPostgres, private_postgres

    server = private_postgres()
    try:
        url = server.__enter__()
    except NoPostgres as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture
def schema(postgres: str) -> Place:
    """An empty schema of it."""
    from mixpay.sponsor.store import Place

    return Place.server(postgres, next(_SCHEMAS))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database for an issuer, of each kind."""
    from mixpay.sponsor.store import Place

    if request.param == "sqlite":
        return Place.file(tmp_path / "issuer.db")
    found = request.getfixturevalue("schema")
    assert isinstance(found, Place)
    return found
