"""What a kind of policy is made of; `mixpay.sponsor.policies` explains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mixpay.sponsor.policy import Policy, Quotas

if TYPE_CHECKING:  # a dApp that answers callbacks needs no chain, which is slow to load
    from mixpay.chain.rpc import Rpc


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What policies find at a sponsor: its folder, to which paths in settings are relative, and its node."""

    folder: Path
    rpc: Rpc
    chain_id: int

    def path(self, text: str) -> Path:
        """A path of the settings."""
        return self.folder / Path(text).expanduser()


class PolicyKind(Protocol):
    """A module, or anything else with these two attributes."""

    @property
    def Settings(self) -> type[msgspec.Struct]:
        """The settings beside kind, name and quotas; frozen, forbid_unknown_fields."""

    def make(self, name: str, quotas: Quotas, settings: Any, around: Surroundings) -> Policy:
        """A policy. Raises UserError for what cannot be used."""
