"""The fault scenarios, by what fails.

world.py     the network that is troubled, and what must be true of its money at the end
wire.py      a wire between relays        node.py   an RPC endpoint
links.py
"""

from __future__ import annotations

import sys
from pathlib import Path

# The networks of the tests are the tests' own; this is a tool of the checkout, as they are.
sys.path += [str(Path(__file__).resolve().parents[2] / "tests" / kind) for kind in ("e2e", "unit")]

from chaos.scenario import Scenario
from chaos.scenarios import links

SCENARIOS: tuple[Scenario, ...] = (*links.SCENARIOS,)
