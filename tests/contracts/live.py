"""A network in which everybody has something to lose, and what outsiders could call with its live state.

alice   owns the relays, sponsors campaign 1, pays bob and carol     bob    is paid, signs for campaign 1
carol   is paid, sponsors campaign 2; her channel is closing         anna…  operate the relays 1 to 3
dora    operates relay 4, which is condemned; relay 3 has left       eve    reported relay 4
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from brownie import web3
from governing import interface
from issuing import Issuing, as_tuple
from scene import CLAIM_WINDOW, HOP_PRICE, Person, Scene, person, raw

from mixpay import eip712
from mixpay.chain import abi
from mixpay.chain.records import from_hex, to_hex
from mixpay.crypto.hashing import keccak256
from mixpay.types import Amount, Value

CONTRACTS = ("Network", "RelayRegistry", "Channels", "ReceiptCourt", "SubsidyPool")
PERIOD = 2
MOST = 2**96 - 1
BIT = HOP_PRICE
DRAWS = 24
"""Argument sets drawn at random for each function, beside those that belong together."""

Pair = tuple[bytes, bytes]
Right = tuple[object, ...]


class Node:
    """JSON-RPC, many requests at once."""

    def __init__(self) -> None:
        self._url = web3.provider.endpoint_uri

    def ask(self, requests_: Sequence[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
        """Answers, in the order of the requests."""
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(requests_)
        ]
        found = requests.post(self._url, json=body, timeout=60).json() if body else []
        return sorted(found, key=lambda answer: int(answer["id"]))

    def one(self, method: str, *params: Any) -> Any:
        """One request's result."""
        (answer,) = self.ask([(method, list(params))])
        assert "error" not in answer, answer
        return answer["result"]

    def calls(self, calls: Sequence[Call]) -> list[bytes | None]:
        """What calls would return; None where they are refused."""
        answers = self.ask([("eth_call", [call.fields(), "latest"]) for call in calls])
        return [from_hex(a["result"]) if "result" in a else None for a in answers]

    def send(self, call: Call) -> bool:
        """Have a call mined; whether it went through. The sender is an account of the node's."""
        fields = call.fields() | {"gas": hex(10_000_000), "gasPrice": hex(2 * 10**9)}
        (sent,) = self.ask([("eth_sendTransaction", [fields])])
        if "revert" in sent.get("error", {}).get("message", ""):
            return False  # as ganache says it
        while (receipt := self.one("eth_getTransactionReceipt", sent["result"])) is None:
            time.sleep(0.002)  # mined at once, but not always before the answer
        return int(receipt["status"], 16) == 1


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a contract by somebody: accounts are 20 bytes."""

    what: str
    sender: bytes
    to: bytes
    data: bytes = field(repr=False)
    arguments: tuple[Any, ...] = ()

    def fields(self) -> dict[str, str]:
        """As JSON-RPC has it."""
        return {"from": to_hex(self.sender), "to": to_hex(self.to), "data": to_hex(self.data)}


@dataclass(slots=True)
class Live:
    """The stage, and everything signed on it."""

    scene: Scene
    people: dict[str, Person]
    issuing: Issuing
    vouchers: dict[Pair, tuple[int, int, bytes]] = field(default_factory=dict)
    cases: list[tuple[Any, ...]] = field(default_factory=list)
    signatures: list[bytes] = field(default_factory=list)
    aligned: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    """Function → argument sets that belong together, and that somebody could use."""

    def address(self, name: str) -> bytes:
        """Of a contract."""
        scene = self.scene
        found = (scene.network, scene.registry, scene.channels, scene.court, scene.pool)
        return raw(dict(zip(CONTRACTS, found, strict=True))[name])

    @property
    def accounts(self) -> list[bytes]:
        """Everybody who has something."""
        return [one.raw for one in self.people.values()]

    def call(self, contract: str, function: str, sender: bytes, arguments: tuple[Any, ...]) -> Call:
        """Encode a call."""
        entry = abi.artifact(contract).functions[function]
        data = entry.selector + abi.encode(entry.inputs, arguments)
        return Call(f"{contract}.{function}", sender, self.address(contract), data, arguments)


# ---------------------------------------------------------------------- the stage


def build(scene: Scene, issuing: Issuing, alice: Person, bob: Person, carol: Person) -> Live:
    """Everything at once: channels, vouchers, a case, a judgement, budgets, stakes, a penalty."""
    anna, bert, cleo = issuing.relays
    dora, eve = person("dora"), person("eve")
    people = {"alice": alice, "bob": bob, "carol": carol, "anna": anna, "bert": bert}
    live = Live(scene, people | {"cleo": cleo, "dora": dora, "eve": eve}, issuing)
    for payer, payee in ((alice, bob), (anna, bob), (bob, alice), (alice, carol)):
        scene.open(payer, payee, 1_000 * BIT)
    for one in (alice, bob, carol, anna):
        scene.credit(one.account, 77 * BIT)
        scene.give(one.account, scene.registry, 55 * BIT)
        scene.give(one.account, scene.pool, 33 * BIT)
    _vouchers(live)
    scene.channels.requestClose(carol.account, {"from": alice.account})
    scene.register(alice, dora, "dora:1")
    _condemn(live, dora, eve)
    scene.registry.leave(3, {"from": alice.account})
    scene.registry.transferOwnership(2, carol.account, {"from": alice.account})
    _campaigns(live)
    _judge(live, anna, bob)
    _open_case(live, alice, bob)
    return live


def _vouchers(live: Live) -> None:
    people = live.people
    for payer, payee, total in (("alice", "bob", 400), ("bob", "alice", 300), ("alice", "carol", 2_000)):
        one, other = people[payer], people[payee]
        signed = live.scene.voucher(one, other, total * BIT, 0)
        live.vouchers[one.raw, other.raw] = (total * BIT, 0, signed)
        live.signatures.append(signed)
        live.aligned.setdefault("Channels.claim", []).append((one.raw, other.raw, total * BIT, 0, signed))
    for payee in {payee for _, payee in live.vouchers}:
        records = b"".join(
            payer + total.to_bytes(12, "big") + batch.to_bytes(4, "big") + b"".join(eip712.compact(signed))
            for (payer, to), (total, batch, signed) in live.vouchers.items()
            if to == payee
        )
        live.aligned.setdefault("Channels.claimMany", []).append((payee, records))


def _condemn(live: Live, operator: Person, reporter: Person) -> None:
    """Two packet keys for one epoch; others that the operator of relay 1 signed are still to be shown."""
    domain, keys = live.scene.registry_domain, (b"\1" * 32, b"\2" * 32)

    def shown(relay: int, who: Person) -> tuple[Any, ...]:
        messages = [eip712.Descriptor(relay, PERIOD, key) for key in keys]
        return relay, PERIOD, keys, *(eip712.sign(who.key, m.digest(domain)) for m in messages)

    live.scene.court.proveEquivocation(*shown(4, operator), {"from": reporter.account})
    live.aligned["ReceiptCourt.proveEquivocation"] = [shown(1, live.people["anna"])]


def _campaigns(live: Live) -> None:
    scene, alice, bob, carol = live.scene, *(live.people[n] for n in ("alice", "bob", "carol"))
    scene.pool.requestWithdrawal(1, 10 * BIT, {"from": alice.account})
    scene.pool.createCampaign(carol.account, MOST, MOST, {"from": carol.account})
    scene.pool.fund(2, 20 * BIT, {"from": carol.account})
    signed = scene.pool_voucher(bob, 1, live.people["anna"], PERIOD, 10 * BIT)
    live.aligned["SubsidyPool.claim"] = [(1, PERIOD, 10 * BIT, *eip712.compact(signed))]
    spent = live.issuing.entry_pass(PERIOD, 300)
    place = live.issuing.place(0)
    live.aligned["SubsidyPool.redeemPasses"] = [
        (1, 1, PERIOD, live.issuing.modulus, place, [as_tuple(spent)])
    ]


def _demand(live: Live, payer: Person, payee: Person, tickets: int) -> tuple[Any, ...]:
    """The payee opens a case for batch 1; the case."""
    scene, batch = live.scene, (1, tickets, Value(tickets), Amount(BIT), b"\5" * 32)
    message = eip712.Batch(payer.raw, payee.raw, *batch)
    signed = eip712.sign(payer.key, message.digest(scene.channels_domain))
    live.signatures.append(signed)
    scene.credit(payee.account, tickets * BIT)
    made = scene.court.open(
        payer.account, (0, 0, b""), batch, signed, b"\6" * 32, tickets, {"from": payee.account}
    )
    case = (payer.raw, payee.raw, 0, tickets, batch, b"\6" * 32, made.timestamp, made.block_number)
    live.aligned.setdefault("ReceiptCourt.open", []).append(
        (payer.raw, (0, 0, b""), batch, signed, b"\6" * 32, tickets)
    )
    return case


def _judge(live: Live, payer: Person, payee: Person) -> None:
    """A judgement of more than the channel holds, on the payer's own voucher."""
    case, total = _demand(live, payer, payee, 5_000), 5_000 * BIT
    signed = live.scene.voucher(payer, payee, total, 1)
    live.scene.court.answer(case, total, 1, signed, {"from": payee.account})
    live.vouchers[payer.raw, payee.raw] = (total, 1, signed)
    live.aligned["ReceiptCourt.collectStake"] = [(payer.raw, payee.raw)]
    live.aligned["Channels.claimJudgement"] = [(payer.raw, payee.raw)]


def _open_case(live: Live, payer: Person, payee: Person) -> None:
    """A case that runs, and the voucher that would answer it."""
    case = _demand(live, payer, payee, 600)
    live.cases.append(case)
    answer = live.scene.voucher(payer, payee, 700 * BIT, 1)
    live.vouchers[payer.raw, payee.raw] = (700 * BIT, 1, answer)
    live.aligned["ReceiptCourt.answer"] = [(case, 700 * BIT, 1, answer)]
    for function in ("record", "expire"):
        live.aligned[f"ReceiptCourt.{function}"] = [(case,)]


# ---------------------------------------------------------------------- what everybody has


def rights(live: Live, node: Node) -> dict[Right, int]:
    """What each account has, each in a number that must not fall because of others."""
    token, scene = raw(live.scene.token), live.scene
    asked: list[tuple[Right, str, bytes, str, tuple[Any, ...]]] = []
    for account in live.accounts:
        asked.append((("token", account), "Token", token, "balanceOf", (account,)))
        asked.append((("ledger", account), "Channels", raw(scene.channels), "balanceOf", (account,)))
    for pair in live.vouchers:
        asked.append((("channel", pair), "Channels", raw(scene.channels), "channel", pair))
        asked.append((("judgement", pair), "ReceiptCourt", raw(scene.court), "judgement", pair))
        asked.append((("case", pair), "ReceiptCourt", raw(scene.court), "openCase", pair))
    for relay in (1, 2, 3, 4):
        asked.append((("relay", relay), "RelayRegistry", raw(scene.registry), "relay", (relay,)))
        asked.append((("stake", relay), "RelayRegistry", raw(scene.registry), "stakeLeft", (relay,)))
    for campaign in (1, 2):
        asked.append((("campaign", campaign), "SubsidyPool", raw(scene.pool), "campaign", (campaign,)))
    calls = [_view(to, contract, function, values) for _, contract, to, function, values in asked]
    found: dict[Right, Any] = {}
    for (name, contract, _, function, _), answer in zip(asked, node.calls(calls), strict=True):
        assert answer is not None
        values = abi.decode(abi.artifact(contract).functions[function].outputs, answer)
        found[name] = values if len(values) > 1 else values[0]
    return dict(_derived(live, found))


def _view(to: bytes, contract: str, function: str, values: tuple[Any, ...]) -> Call:
    entry = abi.artifact(contract).functions[function]
    return Call(f"{contract}.{function}", bytes(20), to, entry.selector + abi.encode(entry.inputs, values))


def _derived(live: Live, found: dict[Right, Any]) -> Iterator[tuple[Right, int]]:
    for name, value in found.items():
        match name:
            case ("token" | "ledger" | "stake", _):
                yield name, value
            case ("channel", pair):
                deposit, claimed, closes_at = value
                judged = found["judgement", pair][0]
                # What the payer has signed, or the court has judged, is the payee's, up to the deposit.
                entitled = max(claimed, min(deposit, max(live.vouchers[pair][0], judged)))
                yield ("entitled", pair), entitled
                yield ("free", pair), deposit - entitled
                yield ("closes at", pair), -closes_at
                yield ("judged", pair), judged
            case ("case", pair):
                yield name, int(any(value[0]))
            case ("relay", number):
                relay = _named("RelayRegistry", "relay", value)
                yield ("owner", number), int.from_bytes(relay["owner"], "big")
                yield ("operator", number), int.from_bytes(relay["operator"], "big")
                yield ("lives", number), -relay["withdrawableAt"]
            case ("campaign", number):
                campaign = _named("SubsidyPool", "campaign", value)
                yield ("budget", number), campaign["budget"]
                yield ("signer", number), int.from_bytes(campaign["signer"], "big")
                yield ("sponsor", number), int.from_bytes(campaign["sponsor"], "big")
                yield ("withdrawal", number), campaign["withdrawal"]
                yield ("withdrawable", number), -campaign["withdrawableAt"]


def _named(contract: str, function: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """A struct's fields by their names, in whatever order the contract has them."""
    (entry,) = [item for item in interface(contract) if item.get("name") == function]
    (struct,) = entry["outputs"]
    return dict(zip((part["name"] for part in struct["components"]), values, strict=True))


EXACT = frozenset(
    ("owner", "operator", "lives", "signer", "sponsor", "withdrawal", "withdrawable", "closes at")
)
"""Rights of which more is no better: nobody else changes them at all."""


# ---------------------------------------------------------------------- what outsiders can say


def draws(live: Live, contract: str, function: str, caller: bytes) -> Iterator[tuple[Any, ...]]:
    """Argument sets for a function: those that belong together, and parts of live state in any mixture.

    Raises KeyError for a parameter that nothing live is known for: whoever adds one adds values for it here.
    """
    yield from live.aligned.get(f"{contract}.{function}", ())
    entry = abi.artifact(contract).functions[function]
    choices = [
        _values(live, name, kind, caller) for name, kind in zip(entry.names, entry.inputs, strict=True)
    ]
    if len(list(itertools.islice(itertools.product(*choices), DRAWS + 1))) <= DRAWS:
        yield from itertools.product(*choices)
        return
    dice = random.Random(f"{contract}.{function}")  # noqa: S311 - tests repeat
    for _ in range(DRAWS):
        yield tuple(dice.choice(values) for values in choices)


def _values(live: Live, name: str, kind: str, caller: bytes) -> list[Any]:
    """Live values for a parameter."""
    now, pairs = web3.eth.get_block("latest")["timestamp"], list(live.vouchers)
    accounts = [*live.accounts, caller, *(live.address(contract) for contract in CONTRACTS), bytes(20)]
    totals = [total for total, _, _ in live.vouchers.values()]
    amounts = [0, 1, *totals, 20 * BIT, 77 * BIT, MOST]
    words = [bytes(32), b"\1" * 32, keccak256(b"host:1"), *(s[:32] for s in live.signatures)]
    signatures = [*live.signatures, b"", bytes(65)]
    records = [args[1] for args in live.aligned["Channels.claimMany"]]
    contracts = [live.address(contract) for contract in ("RelayRegistry", "Channels", "SubsidyPool")]
    by_kind: dict[str, list[Any]] = {
        "address": accounts,
        "address[]": [[], [caller], live.accounts[:3]],
        "bytes": [*signatures, *records],
        "bytes32": words,
        "bytes32[2]": [(words[1], words[2]), (words[1], words[1])],
        "bytes32[8]": [live.issuing.modulus, [b"\1" * 32] * 8],
        "string": ["host:1", "x", ""],
        "uint8": [0, 1, 2, 27, 28],
        "uint32": [0, 1, 2, 3, 4, PERIOD, 2**32 - 1],
        "uint40": [0, now, now + CLAIM_WINDOW, 2**40 - 1],
        "uint64": [1, 600, 2**64 - 1],
        "uint96": amounts,
        "uint96[]": [[], [1], [0, 1, MOST], [1, 1, 1]],
        "uint256": [0, now, 2**256 - 1],
        "(address,address,address,uint16,uint96,uint32)": [
            (*contracts, 1, HOP_PRICE, 2**20),
            (*contracts, 2, MOST, 2**32 - 1),
            (caller, caller, caller, 1, 1, 2**21),
            (*contracts, 1, 0, 0),
        ],
        "(uint96,uint32,bytes)": [(0, 0, b""), *live.vouchers.values()],
        "(uint32,uint32,uint64,uint96,bytes32)": [(1, 600, 600, BIT, b"\5" * 32), (2, 1, 1, 1, b"\5" * 32)],
        _CASE: [*live.cases, *((payer, payee, *live.cases[0][2:]) for payer, payee in pairs)],
        "(uint32,uint32,bytes32,bytes32,bytes32[])": [live.issuing.place(0), live.issuing.place(1)],
        "(bytes32,bytes32[8],uint16,bytes32,bytes32[6])[]": [
            [],
            *(args[5] for args in live.aligned["SubsidyPool.redeemPasses"]),
        ],
    }
    return by_kind[kind]


_CASE = "(address,address,uint96,uint64,(uint32,uint32,uint64,uint96,bytes32),bytes32,uint40,uint64)"
