"""Epochs and terms of chain time (DESIGN §10): whole numbers that contracts, relays and clients count alike.

The caller gives the time, which is the chain's (latest block), never the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.errors import ChainError
from mixpay.types import Epoch, Term


class BeforeGenesis(ChainError):
    """The chain's time is earlier than epoch 0: a wrong chain, or one whose clock was set back."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Start of epoch 0 in seconds of chain time, seconds in an epoch, epochs in a term.

    The same numbers stand in Network (`genesis`, `epochLength`) and SubsidyPool (`TERM_LENGTH`). Raises
    ValueError if a length is not positive or the genesis is negative.
    """

    genesis: int
    epoch_length: int
    term_length: int

    def __post_init__(self) -> None:
        if self.genesis < 0 or self.epoch_length <= 0 or self.term_length <= 0:
            raise ValueError("an epoch lasts at least a second, a term at least an epoch")

    def epoch_at(self, time: int) -> Epoch:
        """Return the epoch that a time (seconds) falls in. Raises BeforeGenesis."""
        if time < self.genesis:
            raise BeforeGenesis(f"chain time {time} is before genesis {self.genesis}")
        return Epoch((time - self.genesis) // self.epoch_length)

    def start(self, epoch: Epoch) -> int:
        """Return the first second of an epoch."""
        return self.genesis + epoch * self.epoch_length

    def end(self, epoch: Epoch) -> int:
        """Return the first second after an epoch."""
        return self.start(epoch) + self.epoch_length

    def term_of(self, epoch: Epoch) -> Term:
        """Return the term that an epoch belongs to."""
        return Term(epoch // self.term_length)

    def first_epoch(self, term: Term) -> Epoch:
        """Return the first epoch of a term; its beacon and count are the term's."""
        return Epoch(term * self.term_length)

    def last_epoch(self, term: Term) -> Epoch:
        """Return the last epoch of a term."""
        return Epoch((term + 1) * self.term_length - 1)
