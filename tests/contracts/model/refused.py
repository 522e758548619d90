"""What a contract does not do."""

from __future__ import annotations


class Refused(Exception):
    """A call that reverts. `name` is that of the custom error."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def require(holds: bool, name: str) -> None:
    """Raise Refused with this name unless it holds."""
    if not holds:
        raise Refused(name)
