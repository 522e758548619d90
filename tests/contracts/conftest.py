"""One deployment a module, rolled back before each test."""

from __future__ import annotations

import gc
import signal
from typing import Any

import pytest
from brownie import project, web3
from scene import Person, Scene, deploy, person
from web3.types import RPCEndpoint

# Brownie ends its chain when the interpreter ends; a plain SIGTERM would skip that, and pytest would take
# SystemExit for a failing test and go on.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def quick() -> None:
    """Leave out what brownie does again and again: a quarter of all time, and no test is about it."""
    # Each roll back of the chain collects garbage, which walks through all that has been loaded.
    gc.collect()
    gc.freeze()
    # web3 asks for the chain's number before each call and each transaction.
    provider: Any = web3.provider
    provider.cacheable_requests = {RPCEndpoint("eth_chainId")}
    provider.cache_allowed_requests = True


@pytest.fixture(autouse=True)
def isolation(fn_isolation: None) -> None:
    """Start each test from the same chain."""


@pytest.fixture(scope="module")
def scene(module_isolation: None) -> Scene:
    """Everything deployed."""
    return deploy(project.get_loaded_projects()[0])


@pytest.fixture(scope="module")
def alice(module_isolation: None) -> Person:
    """Pays, owns, sponsors."""
    return person("alice")


@pytest.fixture(scope="module")
def bob(module_isolation: None) -> Person:
    """Is paid, operates, signs."""
    return person("bob")


@pytest.fixture(scope="module")
def carol(module_isolation: None) -> Person:
    """Has no right to anything."""
    return person("carol")


@pytest.fixture(scope="module")
def contracts() -> Any:
    """Containers of all compiled contracts."""
    return project.get_loaded_projects()[0]
