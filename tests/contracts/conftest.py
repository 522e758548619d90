"""One deployment a module, rolled back before each test."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
from brownie import project
from scene import Person, Scene, deploy, person

# Brownie ends its chain when the interpreter ends; a plain SIGTERM would skip that.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


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
