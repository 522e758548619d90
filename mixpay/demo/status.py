"""Asking a relay's own status interface, as its operator may: with the token in the relay's folder.

Of what it answers, the demo's verdict uses the signed vouchers only; the rest tells when to go on.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

import msgspec

from mixpay import eip712
from mixpay.demo.evidence import SignedPoolVoucher, SignedVoucher
from mixpay.errors import MixpayError
from mixpay.typed import typed
from mixpay.types import Account, Amount, RelayId

_TIMEOUT = 10.0

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""For addresses on this host: no proxy of the environment is asked."""

NO_ANSWER = (OSError, HTTPException, msgspec.MsgspecError)
"""What asking there raises if nobody is there, or somebody who ends in the middle of the answer."""


class NoStatus(MixpayError):
    """The relay does not answer (yet)."""


class _Access(msgspec.Struct, frozen=True):
    port: int
    token: str


class _Voucher(msgspec.Struct, frozen=True):
    payer: str
    payee: str
    cumulative: str
    upto_batch: int
    signature: str


class _PoolVoucher(msgspec.Struct, frozen=True):
    campaign: int
    relay: str
    period: int
    cumulative: str
    signature: str


class _Payer(msgspec.Struct, frozen=True):
    account: str
    unsettled_value: int
    proven_value: int
    receipts: int
    voucher: _Voucher | None


class _Payee(msgspec.Struct, frozen=True):
    waiting: int
    unsettled_value: int


class _Campaign(msgspec.Struct, frozen=True):
    voucher: _PoolVoucher | None


class _Roles(msgspec.Struct, frozen=True):
    entry: int
    mix: int
    mailbox: int


class Status(msgspec.Struct, frozen=True):
    """What the demo reads of a relay's status; fields it does not know are ignored."""

    relay: int
    epoch: int
    links_out: list[int]
    roles: _Roles
    payers: list[_Payer]
    payees: list[_Payee]
    campaigns: list[_Campaign]
    drops: dict[str, int]
    refusals: dict[str, int]

    @property
    def id(self) -> RelayId:
        """The relay."""
        return RelayId(self.relay)

    @property
    def waiting(self) -> int:
        """Packets that wait for their next hop."""
        return sum(payee.waiting for payee in self.payees)

    @property
    def receipts(self) -> int:
        """Tickets that its payers have settled."""
        return sum(payer.receipts for payer in self.payers)

    @property
    def proven(self) -> int:
        """Value, in hop prices, of the receipts that it holds and nobody has settled."""
        return sum(payer.proven_value for payer in self.payers)

    @property
    def unproven(self) -> int:
        """Value, in hop prices, of the packets that it took and whose next relay has not answered yet."""
        return sum(payer.unsettled_value - payer.proven_value for payer in self.payers)

    def due(self, price: Amount) -> Mapping[Account, int]:
        """What each payer owes it for receipts that it holds, vouchers included; token units, all time."""
        return {
            _account(payer.account): price * payer.proven_value
            + (int(payer.voucher.cumulative) if payer.voucher is not None else 0)
            for payer in self.payers
        }

    def opened(self) -> Mapping[Account, int]:
        """Tickets that each payer has settled."""
        return {_account(payer.account): payer.receipts for payer in self.payers}

    def vouchers(self) -> list[SignedVoucher]:
        """What its payers signed."""
        return [_voucher(payer.voucher) for payer in self.payers if payer.voucher is not None]

    def pool_vouchers(self) -> list[SignedPoolVoucher]:
        """What campaigns signed."""
        return [_pool_voucher(found.voucher) for found in self.campaigns if found.voucher is not None]


def _voucher(answer: _Voucher) -> SignedVoucher:
    cumulative = Amount(int(answer.cumulative))
    message = eip712.Voucher(_account(answer.payer), _account(answer.payee), cumulative, answer.upto_batch)
    return SignedVoucher(message, bytes.fromhex(answer.signature[2:]))


def _pool_voucher(answer: _PoolVoucher) -> SignedPoolVoucher:
    cumulative = Amount(int(answer.cumulative))
    message = eip712.PoolVoucher(answer.campaign, _account(answer.relay), answer.period, cumulative)
    return SignedPoolVoucher(message, bytes.fromhex(answer.signature[2:]))


def _account(text: str) -> Account:
    return Account(bytes.fromhex(text[2:]))


def read_status(home: Path) -> Status:
    """Ask the relay whose folder this is. Raises NoStatus."""
    try:
        access = msgspec.json.decode((home / "api.json").read_bytes(), type=typed(_Access))
        request = urllib.request.Request(
            f"http://127.0.0.1:{access.port}/status", headers={"Authorization": f"Bearer {access.token}"}
        )
        with OPENER.open(request, timeout=_TIMEOUT) as answer:
            return msgspec.json.decode(answer.read(), type=typed(Status))
    except NO_ANSWER as error:
        raise NoStatus(f"the relay in {home} does not answer: {error}") from None
