"""The fault scenarios, by what fails.

links.py     links and frames       peers.py     peers that lie, or do not pay
chain.py     the chain, its endpoint, and the gas for it
disk.py      disks, databases, clocks

world.py     the network that is troubled, and what must be true of its money at the end
wire.py      a wire between relays          node.py     an RPC endpoint          liar.py     a mouth
"""

from __future__ import annotations

import sys
from pathlib import Path

# The networks of the tests are the tests' own; this is a tool of the checkout, as they are.
sys.path += [str(Path(__file__).resolve().parents[2] / "tests" / kind) for kind in ("e2e", "unit")]

from chaos.scenario import Scenario
from chaos.scenarios import chain, disk, links, peers

SCENARIOS: tuple[Scenario, ...] = (*links.SCENARIOS, *chain.SCENARIOS, *disk.SCENARIOS, *peers.SCENARIOS)
