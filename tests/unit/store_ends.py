"""A store for tests, on a real file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from relay.store import Put, Store
from relay.store.tables import SETTINGS


@asynccontextmanager
async def store(path: Path, **options: Any) -> AsyncIterator[Store]:
    opened = Store(path, **options)
    try:
        yield opened
    finally:
        await opened.close()


def setting(name: str, data: bytes = b"x") -> Put:
    return Put(SETTINGS, (name,), data)


def names(opened: Store) -> list[str]:
    return [key[0] for key, _ in opened.rows(SETTINGS)]
