"""The demo reads what the relay's own interface answers, and takes the vouchers in it as they are signed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from demo_evidence import operator, pool_voucher, voucher
from mixpay.demo.sponsor import Sponsor
from mixpay.demo.status import NoStatus, Status, read_status
from relay.operator import answers
from relay.operator.api import ApiServer


def hexadecimal(data: bytes) -> str:
    return "0x" + data.hex()


def payer() -> answers.PayerAnswer:
    signed = voucher(1, 2, 12)
    return answers.PayerAnswer(
        relay=1,
        account=hexadecimal(operator(1)),
        linked=True,
        unsettled_value=3,
        proven_value=3,
        receipts=4,
        cumulative="12",
        claimed="0",
        claimable="12",
        deposit="20",
        closes_at=0,
        voucher=answers.VoucherAnswer(
            payer=hexadecimal(operator(1)),
            payee=hexadecimal(operator(2)),
            cumulative="12",
            upto_batch=1,
            signature=hexadecimal(signed.signature),
        ),
        refused=None,
        notes=[],
    )


def campaign() -> answers.CampaignAnswer:
    signed = pool_voucher(2, 15)
    return answers.CampaignAnswer(
        campaign=1,
        issuer=None,
        ticks={},
        claimed=None,
        voucher=answers.PoolVoucherAnswer(
            campaign=1,
            relay=hexadecimal(operator(2)),
            period=2,
            cumulative="15",
            signature=hexadecimal(signed.signature),
        ),
        notes=[],
    )


def answer() -> answers.StatusAnswer:
    return answers.StatusAnswer(
        relay=2,
        operator=hexadecimal(operator(2)),
        owner=hexadecimal(operator(2)),
        endpoint="127.0.0.1:1:2",
        software="mixpay",
        chain_time=7,
        epoch=2,
        term=2,
        layer=1,
        hop_price="1",
        links_in=[1],
        links_out=[3, 4],
        roles=answers.Roles(entry=1, mix=2, mailbox=3),
        income=answers.Income(received="0", given="0", earned="0", claimed="0", unclaimed="0"),
        balances=None,
        payers=[payer()],
        payees=[],
        campaigns=[campaign()],
        drops={},
        refusals={},
        notes=[],
    )


class Operations:
    """A relay that always answers the same."""

    def status(self, release: int | None = None) -> answers.StatusAnswer:
        return answer()

    def metrics(self, release: int | None = None) -> bytes:
        return b""

    async def settle(self) -> answers.SettleAnswer:
        raise AssertionError("nobody asked to settle")


async def ask(home: Path) -> Status:
    return await asyncio.to_thread(read_status, home)


async def test_readStatus_readsWhatTheRelayAnswers(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, Operations())
    await server.start(0)
    try:
        found = await ask(tmp_path)
    finally:
        await server.stop()
    assert (found.id, found.epoch, found.links_out) == (2, 2, [3, 4])
    assert (found.roles.entry, found.roles.mix, found.roles.mailbox) == (1, 2, 3)
    assert (found.receipts, found.waiting) == (4, 0)
    assert found.vouchers() == [voucher(1, 2, 12)]
    assert found.pool_vouchers() == [pool_voucher(2, 15)]


async def test_readStatus_failsIfTheRelayDoesNotRun(tmp_path: Path) -> None:
    with pytest.raises(NoStatus):
        await ask(tmp_path)
    server = ApiServer(tmp_path, Operations())
    await server.start(0)
    access = (tmp_path / "api.json").read_bytes()
    await server.stop()
    (tmp_path / "api.json").write_bytes(access)
    with pytest.raises(NoStatus):
        await ask(tmp_path)


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 200 \r\n\r\n{}"],
    ids=["nothing", "no HTTP", "half of it", "something else"],
)
async def test_whoIsKilledInTheMiddleOfAnAnswer_hasNotAnswered(tmp_path: Path, answer: bytes) -> None:
    """A relay, and a sponsor."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        (tmp_path / "api.json").write_text(json.dumps({"port": port, "token": "t"}))
        with pytest.raises(NoStatus):
            await ask(tmp_path)
        assert await asyncio.to_thread(Sponsor(f"http://127.0.0.1:{port}").epoch) is None


async def test_readStatus_failsWithAnotherToken(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, Operations())
    await server.start(0)
    try:
        path = tmp_path / "api.json"
        path.write_bytes(path.read_bytes().replace(b'"token":"', b'"token":"x'))
        with pytest.raises(NoStatus, match="401"):
            await ask(tmp_path)
    finally:
        await server.stop()
