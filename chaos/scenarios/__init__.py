"""Every scenario of `make chaos`."""

from __future__ import annotations

from chaos.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = ()
