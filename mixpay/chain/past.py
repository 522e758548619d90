"""Which block was the newest so long ago."""

from __future__ import annotations

from threading import Lock

from mixpay.chain.records import Block
from mixpay.chain.rpc import Rpc

_STEPS = 64
"""A block is looked up again when so much of its age has passed; about 25 requests on a chain of years."""


class Past:
    """Looks blocks up by their age, and remembers. Thread safe; blocks the caller."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc, self._lock = rpc, Lock()
        self._found: dict[int, tuple[int, int]] = {}

    def block_before(self, seconds: int) -> int | None:
        """The number of the last block at least so many seconds older than the newest one.

        It may be older by 1/64. None if the chain is younger. Raises ChainError.
        """
        latest = self._rpc.latest()
        moment = latest.timestamp - seconds
        with self._lock:
            known, number = self._found.get(seconds, (0, 0))
            # The chain of a test can go back in time.
            if number and 0 <= moment - known <= seconds // _STEPS and number <= latest.number:
                return number
            found = self._search(latest, moment)
            if found is not None:
                self._found[seconds] = moment, found
            return found

    def _search(self, latest: Block, moment: int) -> int | None:
        """The last block whose timestamp is at most `moment`."""
        if self._timestamp(0) > moment:
            return None
        low, high = 0, latest.number + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._timestamp(middle) <= moment else (low, middle)
        return low

    def _timestamp(self, number: int) -> int:
        block = self._rpc.block(number)
        if block is None:
            raise self._rpc.nonsense("eth_getBlockByNumber")
        return block.timestamp
