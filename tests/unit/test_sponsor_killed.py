"""A real `mixpay sponsor serve` that is killed while it issues and while it redeems, again and again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from bench.issuer_world import IssuerProcess
from mixpay.chain.devchain import DevChain
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.demo.relays import write_secret
from mixpay.demo.status import OPENER
from mixpay.parameters import DEMO
from mixpay.passes import PassRequest, Scope
from mixpay.sponsor import api
from mixpay.types import Epoch, RelayId
from redeem_world import spent
from sponsor_world import PASSWORD, World

QUOTA = 24
TICKS = 3


class Service:
    """The process, which can be killed and started again."""

    def __init__(self, world: World, folder: Path, database: str) -> None:
        self._folder, self._home, self._database = folder, world.home, database
        self._password = folder / "password"
        write_secret(self._password, PASSWORD)
        self.start()

    def start(self) -> None:
        self.process = IssuerProcess(self._folder, self._home, self._password, self._database)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.stop()

    def post(self, path: str, request: msgspec.Struct) -> tuple[int, Any]:
        """Raises OSError or HTTPException if it is gone."""
        where = urlsplit(self.process.url)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=30)
        try:
            connection.request("POST", path, msgspec.json.encode(request))
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())
        finally:
            connection.close()

    def wait_for(self, epoch: Epoch) -> None:
        """Until it has seen an epoch on the chain."""
        end = time.monotonic() + 30
        while self.get_epoch() != epoch:
            assert time.monotonic() < end
            time.sleep(0.02)

    def get_epoch(self) -> Epoch:
        with OPENER.open(self.process.url + api.CAMPAIGN_PATH, timeout=10) as answer:
            return Epoch(msgspec.json.decode(answer.read())["epoch"])

    def killed_while_asked(self, path: str, asked: list[msgspec.Struct], answers: int) -> dict[int, Any]:
        """Ask all at once, kill it after so many answers, start it again; the answers that came."""
        with ThreadPoolExecutor(len(asked)) as pool:
            waiting: dict[Future[tuple[int, Any]], int] = {
                pool.submit(self.post, path, one): number for number, one in enumerate(asked)
            }
            for seen, _ in enumerate(as_completed(waiting), 1):
                if seen == answers:
                    self.kill()
                    break
        found = {}
        for future, number in waiting.items():
            try:
                status, answer = future.result()
            except (OSError, HTTPException):
                continue
            assert status == 200, answer
            found[number] = answer
        self.start()
        return found


class Place(World):
    """A sponsor, and one relay that every pass draws."""

    relay: RelayId


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> Place:
    world = Place(chain, tmp_path)
    world.settle_in()
    world.configure(poll_seconds=0.05, entry_passes=QUOTA, per_second=1000)
    world.relay, _ = world.register()
    world.join()
    return world


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Service]:
    database = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    service = Service(world, tmp_path, database)
    yield service
    service.process.stop()


def test_killedInTheMiddle_itLosesNothingAndCountsNothingTwice(world: Place, service: Service) -> None:
    key = service.process.key
    modulus = PublicKey.from_bytes(key.modulus)
    scope = Scope(world.deployment.chain_id, world.deployment.pool, 1, 1, key.period)
    wanted = [PassRequest.new(scope, modulus, os.urandom) for _ in range(QUOTA)]
    requests: list[msgspec.Struct] = [api.SignRequest(1, key.period, one.blinded) for one in wanted]
    before = service.killed_while_asked(api.SIGN_PATH, requests, 5)
    assert len(before) >= 5
    after = [service.post(api.SIGN_PATH, request) for request in requests]
    assert {status for status, _ in after} == {200} and after[-1][1]["left"] == 0
    assert all(after[number][1]["signature"] == answer["signature"] for number, answer in before.items())
    one_more = api.SignRequest(1, key.period, bytes(255) + b"\2")
    assert service.post(api.SIGN_PATH, one_more)[1]["error"] == "quota_exceeded"

    bundles = []
    for one, (_, answer) in zip(wanted, after, strict=True):
        bundles.append(spent(one.finish(msgspec.convert(answer, api.SignAnswer).signature), TICKS).encode())
    world.freeze()
    service.wait_for(world.next_epoch(key.period + 1 - world.epoch()))
    redeems: list[msgspec.Struct] = [api.RedeemRequest(world.relay, 1, key.period, [one]) for one in bundles]
    found = service.killed_while_asked(api.REDEEM_PATH, redeems, 5)
    totals = [int(answer["cumulative"]) for answer in found.values()]
    status, answer = service.post(api.REDEEM_PATH, api.RedeemRequest(world.relay, 1, key.period, bundles))
    assert status == 200 and answer["refused"] == []
    assert int(answer["cumulative"]) == QUOTA * TICKS * 5 * DEMO.hop_price >= max(totals)
    again = service.post(api.REDEEM_PATH, api.RedeemRequest(world.relay, 1, key.period, bundles))
    assert again == (200, answer | {"added": 0})
