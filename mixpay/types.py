"""Words shared by every module: identifiers, amounts, and the sizes that come with them.

Bytes inside, hexadecimal only at the edges. Every amount of money is an integer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NewType

RelayId = NewType("RelayId", int)
"""Registration number of a relay, u32, counts up from 1, never reused."""

Position = NewType("Position", int)
"""Place of a relay in the registry's tree, u32 from 0, reused after a relay left."""

Epoch = NewType("Epoch", int)
"""Number of an epoch of chain time, u32 from 0 at genesis."""

Term = NewType("Term", int)
"""Number of a term (a fixed number of epochs), u32 from 0."""

Account = NewType("Account", bytes)
"""An Ethereum address, 20 bytes."""

Amount = NewType("Amount", int)
"""Money in the token's smallest unit."""

Value = NewType("Value", int)
"""Money in units of the hop price: what a ticket carries."""

Random = Callable[[int], bytes]
"""Source of random bytes: the operating system's in use, a seeded one in tests."""

HOPS = 5
"""Paid hops of every path: entry, three mixes, mailbox."""

MIX_LAYERS = 3
"""Layers of mixes between entry and mailbox."""
