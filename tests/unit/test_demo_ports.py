"""Ports of the demo's and the tests' programs."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from mixpay.demo.ports import PortBlock, free_ports

_LIST = "from mixpay.demo.ports import free_ports; print(*free_ports(150)); input()"


def test_ports_areDifferentAndFree() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_portsOfTwoProcesses_neverMeet() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LIST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        ours = set(free_ports(150))
        other.communicate("\n")
    assert len(theirs) == len(ours) == 150
    assert not theirs & ours


def test_ports_thatWereGivenLongestAgo_comeFirst_andTakenOnesNotAtAll() -> None:
    block = PortBlock()
    first = block.free(1)[0]
    rest = block.free(198)
    assert first not in rest
    with socket.create_server(("127.0.0.1", first)):
        assert block.free(2) == rest[:2]


def test_moreThanABlock_failsWithAReason() -> None:
    with pytest.raises(OSError, match="no 500 free ports"):
        PortBlock().free(500)
