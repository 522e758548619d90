"""The operator's HTTP interface: who may ask, what is answered, one settlement at a time."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import pytest

import court_facts
from mixpay.door import CrowdLimits
from mixpay.errors import ChainUnavailable, MixpayError, UserError
from mixpay.local_api import ApiFile, ErrorAnswer, metrics_token
from mixpay.passes import EntryPassBook
from mixpay.types import Account, Amount, Epoch, RelayId
from relay import cli
from relay.court import CourtReport
from relay.court import desk as court_desk
from relay.court.actions import Expire, Matter
from relay.metrics import Metrics
from relay.operator import api, report
from relay.operator.answers import (
    AgendaAnswer,
    Balances,
    DrainAnswer,
    DueAnswer,
    Income,
    PayerAnswer,
    Roles,
    SettleAnswer,
    StatusAnswer,
)
from relay.operator.api import ApiServer
from relay.operator.api_client import ApiClient, DaemonTrouble
from relay.operator.status_text import settle_text, status_text
from relay.redeem.redeemer import Redeemed, RedeemReport
from relay.store import StoredPoolVoucher
from relay.treasury import Fund, Holdings, PoolFacts, Postponed, Result, Subject, TreasuryReport
from relay.waits import Waiting

STATUS = StatusAnswer(
    relay=7,
    operator="0x" + "0a" * 20,
    owner="0x" + "0b" * 20,
    endpoint="127.0.0.1:1:2",
    software="mixpay",
    chain_time=1,
    epoch=2,
    term=2,
    layer=3,
    hop_price="1000000000000",
    links_in=[1],
    links_out=[2, 3],
    roles=Roles(entry=1, mix=2, mailbox=3),
    income=Income(received="5", given="2", earned="3", claimed="1", unclaimed="4"),
    balances=Balances(ledger="1", tokens="0", ether="9"),
    payers=[],
    payees=[],
    campaigns=[],
    drops={"replayed": 1},
    refusals={},
    notes=["the operator must deposit 1 tokens"],
)
SETTLED = SettleAnswer(complete=True, seconds=0.1, unsettled_value={}, redeemed=[], actions=[], waiting=[])


@dataclass
class Daemon:
    """Something to operate, that does what a test says."""

    trouble: Exception | None = None
    answer: SettleAnswer = SETTLED
    settlements: int = 0
    may_settle: asyncio.Event = field(default_factory=asyncio.Event)

    drained: list[DrainAnswer] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    async def drain(self, wait: float) -> DrainAnswer:
        self.asked.append(wait)
        return self.drained.pop(0)

    def resume(self) -> DrainAnswer:
        return DrainAnswer(draining=False, complete=False)

    def status(self, release: int | None = None) -> StatusAnswer:
        if self.trouble is not None:
            raise self.trouble
        return STATUS

    def metrics(self, release: int | None = None) -> bytes:
        return b"mixpay_up 1\n"

    async def settle(self) -> SettleAnswer:
        self.settlements += 1
        await self.may_settle.wait()
        if self.trouble is not None:
            raise self.trouble
        return self.answer


@dataclass
class Desk:
    """A served daemon, and a way to ask it."""

    daemon: Daemon
    server: ApiServer
    session: aiohttp.ClientSession
    file: ApiFile
    home: Path

    async def ask(self, method: str, path: str, token: str | None = None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.file.token if token is None else token}"}
        url = f"http://127.0.0.1:{self.file.port}{path}"
        async with self.session.request(method, url, headers=headers) as response:
            return response.status, await response.read()

    async def refusal(self, method: str, path: str, token: str | None = None) -> tuple[int, str]:
        status, body = await self.ask(method, path, token)
        return status, msgspec.json.decode(body, type=ErrorAnswer).error


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    daemon = Daemon()
    server = ApiServer(tmp_path, daemon)
    port = await server.start(0)
    file = msgspec.json.decode((tmp_path / "api.json").read_bytes(), type=ApiFile)
    assert file.port == port
    async with aiohttp.ClientSession() as session:
        yield Desk(daemon, server, session, file, tmp_path)
    await server.stop()


async def test_the_token_lies_where_only_the_operator_reads(desk: Desk) -> None:
    path = desk.home / "api.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await desk.server.stop()
    assert not path.exists()


async def test_status_and_metrics_are_answered(desk: Desk) -> None:
    status, body = await desk.ask("GET", "/status")
    assert (status, msgspec.json.decode(body, type=StatusAnswer)) == (200, STATUS)
    assert await desk.ask("GET", "/metrics") == (200, b"mixpay_up 1\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/status"), ("GET", "/metrics")),
        *(("POST", "/settle"), ("POST", "/drain"), ("POST", "/resume")),
    ],
)
async def test_strangers_learn_nothing(desk: Desk, method: str, path: str) -> None:
    for token in ("", "x", desk.file.token[:-1], "\xff"):
        assert await desk.refusal(method, path, token) == (401, "unauthorized")
    assert desk.daemon.settlements == 0 and desk.daemon.asked == []


async def test_interface_isOnLoopbackOnly(desk: Desk) -> None:
    with socket.create_connection(("127.0.0.1", desk.file.port)):
        pass
    with pytest.raises(ConnectionRefusedError):  # another address of this machine
        socket.create_connection(("127.0.0.2", desk.file.port))


async def test_drain_isAskedForUntilItIsComplete_orTheTimeIsOver(desk: Desk) -> None:
    daemon, client = desk.daemon, ApiClient(desk.home)
    daemon.drained = [
        DrainAnswer(draining=True, complete=False, held=3),
        DrainAnswer(draining=True, complete=True),
    ]
    assert (await asyncio.to_thread(client.drain, 60)).complete
    assert daemon.asked[0] == 30.0 and len(daemon.asked) == 2
    daemon.drained = [DrainAnswer(draining=True, complete=False, held=3)]
    assert (await asyncio.to_thread(client.drain, 0)).held == 3
    assert not (await asyncio.to_thread(client.resume)).draining
    assert await desk.refusal("POST", "/drain?wait=long") == (400, "malformed")


async def test_drainCommand_exitsWith1_whilePacketsAreLeft(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["drain", "--home", str(desk.home), "--timeout", "0"]
    desk.daemon.drained = [
        DrainAnswer(draining=True, complete=False, held=3, unacknowledged=1),
        DrainAnswer(draining=True, complete=True),
    ]
    assert await asyncio.to_thread(cli.main, words) == 1
    assert "no new packets are taken; 3 held for their delay, 1 sent" in capsys.readouterr().out
    assert await asyncio.to_thread(cli.main, words) == 0
    assert "to stop now loses nothing" in capsys.readouterr().out
    assert await asyncio.to_thread(cli.main, [*words, "--resume"]) == 0
    assert capsys.readouterr().out == "packets are taken\n"


async def test_metrics_token_opens_metrics_and_nothing_else(desk: Desk) -> None:
    path = desk.home / "metrics.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text()
    assert await desk.ask("GET", "/metrics", token) == (200, b"mixpay_up 1\n")
    for method, other in (("GET", "/status"), ("POST", "/settle"), ("POST", "/metrics/settle")):
        assert (await desk.refusal(method, other, token))[0] in (401, 404)
    assert desk.daemon.settlements == 0
    assert metrics_token(desk.home) == token  # kept over a restart


def test_metrics_token_that_others_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    metrics_token(tmp_path)
    path = tmp_path / "metrics.token"
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        metrics_token(tmp_path)
    path.chmod(0o600)
    path.write_text("\n")
    with pytest.raises(UserError, match="holds no token"):
        metrics_token(tmp_path)


async def test_too_many_requests_are_told_to_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_CROWD", CrowdLimits(at_once=9, of_address=9, per_second=0.1, burst=4))
    server = ApiServer(tmp_path, Daemon())
    await server.start(0)
    file = msgspec.json.decode((tmp_path / "api.json").read_bytes(), type=ApiFile)
    async with aiohttp.ClientSession() as session:
        desk = Desk(Daemon(), server, session, file, tmp_path)
        for _ in range(3):  # guessing a token is work, too
            assert await desk.refusal("GET", "/status", "x" * 43) == (401, "unauthorized")
        assert await desk.refusal("GET", "/status", "x" * 43) == (429, "too_fast")
    await server.stop()


async def test_other_paths_and_methods_are_refused(desk: Desk) -> None:
    assert await desk.refusal("GET", "/nothing") == (404, "not_found")
    assert await desk.refusal("POST", "/status") == (405, "malformed")
    assert await desk.refusal("POST", "/settle?wait=long") == (400, "malformed")
    assert await desk.refusal("POST", "/settle?wait=nan") == (400, "malformed")


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (ChainUnavailable("away"), (503, "chain_unavailable")),
        (MixpayError("odd"), (500, "failed")),
        (ZeroDivisionError(), (500, "internal")),
    ],
)
async def test_trouble_has_a_label(desk: Desk, trouble: Exception, answer: tuple[int, str]) -> None:
    desk.daemon.trouble = trouble
    desk.daemon.may_settle.set()
    assert await desk.refusal("GET", "/status") == answer
    assert await desk.refusal("POST", "/settle") == answer


async def test_one_settlement_at_a_time_which_others_join(desk: Desk) -> None:
    assert await desk.refusal("POST", "/settle?wait=0") == (202, "running")
    waiting = asyncio.create_task(desk.ask("POST", "/settle?wait=5"))
    assert await desk.refusal("POST", "/settle?wait=0.01") == (202, "running")
    desk.daemon.may_settle.set()
    status, body = await waiting
    assert (status, msgspec.json.decode(body, type=SettleAnswer)) == (200, SETTLED)
    assert desk.daemon.settlements == 1
    assert (await desk.ask("POST", "/settle"))[0] == 200
    assert desk.daemon.settlements == 2


# ------------------------------------------------------------------ the command line's side


async def test_the_client_reads_what_the_server_says(desk: Desk) -> None:
    client = ApiClient(desk.home)
    assert await asyncio.to_thread(client.status) == STATUS
    with pytest.raises(DaemonTrouble, match=r"longer than 0.2 s"):
        await asyncio.to_thread(client.settle, 0.2)
    desk.daemon.may_settle.set()
    assert await asyncio.to_thread(client.settle, 5) == SETTLED
    desk.daemon.trouble = ChainUnavailable("the chain is away")
    with pytest.raises(DaemonTrouble, match="the chain is away"):
        await asyncio.to_thread(client.status)


async def test_the_client_says_when_no_daemon_runs(desk: Desk) -> None:
    client = ApiClient(desk.home)
    await desk.server.stop()
    with pytest.raises(UserError, match="start it with `mixpay-relay run`"):
        await asyncio.to_thread(client.status)
    with pytest.raises(UserError, match="no daemon runs"):
        ApiClient(desk.home)


def test_status_reads_well() -> None:
    text = status_text(STATUS)
    assert text.startswith("relay 7 at 127.0.0.1:1:2, epoch 2, mix layer 3\n")
    assert "earned 0.000000000000000003 tokens" in text
    assert text.endswith("notes:\n  the operator must deposit 1 tokens")
    assert settle_text(SETTLED) == "everything is settled"


def test_status_says_why_something_is_unpaid_and_what_comes_next() -> None:
    below = DueAnswer(amount=str(12 * 10**12), why="12 tickets: settled at 1,000", follows="then", at=3_600)
    lacking = DueAnswer(amount="5", why="the channel lacks it", follows="when it tops up", at=None)
    agenda = [
        AgendaAnswer(what="settle 12 tickets with relay 5", when="or sooner", at=3_600),
        AgendaAnswer(what="claim", when="when it is worth it", at=None),
    ]
    payer = PayerAnswer(
        relay=5, account="0x", linked=False, unsettled_value=12, proven_value=12, receipts=0, cumulative="5",
        claimed="0", claimable="0", deposit="0", closes_at=0, voucher=None, refused=None, notes=["a note"],
        dues=[below, lacking],
    )  # fmt: skip
    status = msgspec.structs.replace(STATUS, payers=[payer], agenda=agenda)
    text = status_text(status)
    assert (
        """payers (who owes us):
  relay 5 (no link): 0.000000000000000005 tokens in vouchers, 0 claimed, 12 hop prices unsettled
    - 0.000012 tokens: 12 tickets: settled at 1,000; then (1970-01-01 01:00:00 UTC)
    - 0.000000000000000005 tokens: the channel lacks it; when it tops up
    - a note
"""
        in text
    )
    assert (
        """
next:
  1970-01-01 01:00:00 UTC: settle 12 tickets with relay 5: or sooner
  claim: when it is worth it
"""
        in text
    )
    assert msgspec.json.decode(msgspec.json.encode(status), type=StatusAnswer) == status


# ------------------------------------------------------------------ what the daemon reports


def money(**parts: object) -> report.Money:
    return report.Money(Amount(10**12), TreasuryReport(**parts), RedeemReport())  # type: ignore[arg-type]


def test_notes_are_about_their_subject() -> None:
    waiting = (
        Postponed(Subject.PAYER, 5, "a"),
        Postponed(Subject.PAYEE, 5, "b"),
        Postponed(Subject.ACCOUNT, 0, "c"),
    )
    known = money(postponed=waiting, trouble="no answer")
    assert known.treasury.why_postponed(Subject.PAYER, 5) == ["a"]
    court = CourtReport(
        (court_desk.Result(Expire(RelayId(5), court_facts.case(), "d"), "e"),), (), "no ether"
    )
    failed = "failed, will be tried again: d: e"
    assert report.account_notes(known, "no answer", CourtReport()) == ["chain: no answer", "c"]
    assert report.account_notes(known, None, CourtReport()) == ["c", "treasury: no answer"]
    assert report.account_notes(money(), None, court) == ["court: no ether", failed]


def test_cases_are_shown_on_both_sides() -> None:
    ours = Matter(RelayId(5), False, 2, 4 * 10**12, "seed drawn", "the receipts are proven", 86_400)
    theirs = Matter(RelayId(6), True, 3, 5 * 10**12, "opened", "our voucher is shown now")
    cases = report.case_answers(CourtReport(matters=(ours, theirs)))
    lines = status_text(msgspec.structs.replace(STATUS, cases=cases)).splitlines()
    proven = "seed drawn; the receipts are proven at 1970-01-02 00:00:00 UTC"
    place = lines.index("court, against payers:")
    assert lines[place + 1] == f"  relay 5, batch 2, 0.000004 tokens: {proven}"
    assert lines[place + 3] == "court, against us:"
    assert lines[place + 4] == "  relay 6, batch 3, 0.000005 tokens: opened; our voucher is shown now"
    assert "court" not in status_text(STATUS)


def test_campaigns_are_those_configured_or_owing() -> None:
    voucher = StoredPoolVoucher(2, 5, Amount(70), b"\1" * 65)
    operator = Account(b"\x0a" * 20)
    at_pool = {3: Amount(20)}
    one, two, three = report.campaign_answers(
        operator, {1: "http://a"}, EntryPassBook(), {2: voucher}, at_pool, money(), {}
    )
    assert (one.campaign, one.issuer, one.voucher) == (1, "http://a", None)
    assert two.issuer is None
    assert two.voucher is not None
    assert (two.voucher.cumulative, two.voucher.relay[2:4], two.voucher.signature[:4]) == ("70", "0A", "0x01")
    assert (three.claimed, three.paid_for_passes, three.voucher) == ("20", "20", None)
    income = report.income([], [], [one, two, three])
    assert (income.received, income.claimed, income.unclaimed) == ("20", "20", "0"), "the chain was not asked"
    known = PoolFacts(
        voucher, Amount(10), Epoch(4), Amount(25), closes_at=9, window=9
    )  # 60 more, caps leave 25
    run = money(pool=(known,))
    found = report.campaign_answers(operator, {}, EntryPassBook(), {2: voucher}, at_pool, run, {})
    income = report.income([], [], found)
    assert (income.received, income.claimed, income.unclaimed) == ("55", "30", "25"), "I5"
    text = status_text(msgspec.structs.replace(STATUS, campaigns=[three]))
    assert "campaign 3: no voucher yet, 0.00000000000000002 tokens paid by the pool for passes" in text


async def test_claim_exits_with_1_while_something_waits(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.daemon.may_settle.set()
    claim = ["claim", "--home", str(desk.home)]
    assert await asyncio.to_thread(cli.main, claim) == 0
    desk.daemon.answer = msgspec.structs.replace(SETTLED, complete=False, waiting=["relay 3"])
    capsys.readouterr()
    assert await asyncio.to_thread(cli.main, claim) == 1
    assert capsys.readouterr().out == "waiting: relay 3\nnot everything is settled yet\n"
    assert await asyncio.to_thread(cli.main, [*claim, "--json"]) == 1


def test_a_settlement_is_complete_when_nothing_waits_and_nothing_failed() -> None:
    fund = Fund(RelayId(2), Account(bytes(20)), Amount(5), "5 to relay 2")
    redeemed = RedeemReport((Redeemed(1, 5, 2, Amount(9)),), ())
    done = report.settle_answer({}, redeemed, TreasuryReport((Result(fund, None),)), 0.5)
    assert done.complete
    assert done.redeemed[0].amount == "9"
    for unsettled, redeem, treasury in (
        ({RelayId(3): 4}, redeemed, TreasuryReport()),
        ({}, RedeemReport((), (Waiting(1, 5, "silent"),)), TreasuryReport()),
        ({}, redeemed, TreasuryReport((Result(fund, "refused"),))),
        ({}, redeemed, TreasuryReport(postponed=(Postponed(Subject.PAYEE, 2, "short"),))),
        ({}, redeemed, TreasuryReport(trouble="no answer")),
    ):
        answer = report.settle_answer(unsettled, redeem, treasury, 0.5)
        assert not answer.complete
        assert settle_text(answer).endswith("not everything is settled yet")


def test_counters_are_read_by_reason() -> None:
    metrics = Metrics()
    metrics.dropped("replayed", 3)
    assert report.reasons(metrics.drops) == {"replayed": 3}
    assert report.balances(None) is None
    assert report.balances(Holdings(Amount(1), Amount(2), 3)) == Balances(ledger="1", tokens="2", ether="3")
