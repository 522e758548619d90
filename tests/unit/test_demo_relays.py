"""Ports, commands and secrets of the demo's relays."""

from __future__ import annotations

from pathlib import Path

from mixpay.demo.processes import Processes
from mixpay.demo.relays import DemoRelays


def test_places_haveSecretsOfTheirOwn_andShowNone(tmp_path: Path) -> None:
    relays = DemoRelays(3, tmp_path, list(range(1, 7)), Processes(tmp_path / "logs"))
    assert [(place.link_port, place.client_port) for place in relays.places] == [(1, 2), (3, 4), (5, 6)]
    assert len({place.owner for place in relays.places}) == 3
    for place in relays.places:
        assert place.password not in repr(place)
        command = place.command("run")
        assert place.password not in " ".join(command.arguments)
        assert command.environment["MIXPAY_RELAY_HOME"] == str(place.home)
