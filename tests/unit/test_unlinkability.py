"""Issuer and entry put together all that they store, and try to tell who spends which pass.

Sixty users have a pass each. The issuer knows who they are; the entry sees the passes. What the two hold:
their databases, their logs at the most talkative, their secret keys. What they may not use is when something
happened: docs/design.md says what that gives away. One test gives them what the issuer sees and forgets too.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import logging
import random as seeded
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b, sha256
from pathlib import Path

import gmpy2
import pytest

from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, SecretKey
from mixpay.crypto.hashing import keccak256
from mixpay.passes import KIND_ENTRY, OwnedPass, PassRequest, PassSpender, Scope, drawn_position
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Campaign, Issuer, asked_for
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policy import QUOTAS, Identified, counted_identity
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Amount, Epoch
from pass_issuing import issue
from pass_keys import pass_keys
from relay.store import pass_key_op, pass_op, tick_op
from relay_parts import CAMPAIGN, DEPLOYMENT, EPOCH, Node, Parts, campaign

USERS = 60
BY_LUCK = 12
"""One guess of 60 is right on average, if it is as good as chance; so many are once in a billion times."""
DICE = seeded.Random(60)  # noqa: S311 - the same in every run
SIGNER, IDENTITY, FOLDER = b"\7" * 32, b"\6" * 32, b"\1" * 32
Record = list[bytes]
"""What is known of a user or of a pass, value by value."""


@dataclass
class Colluders:
    """Record `n` of `users` and record `truth[n]` of `passes` are of one person.

    `dumps`: both databases; `said`: both logs.
    """

    users: list[Record]
    passes: list[Record]
    truth: list[int]
    dumps: tuple[list[Record], list[Record]]
    requests: list[PassRequest]
    spent: list[OwnedPass]
    key: SecretKey
    said: str


class _Listener(logging.Handler):
    """Keeps all that is logged, arguments included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.__dict__!r}")


def dump(path: Path) -> list[Record]:
    """Every row of every table, in the order in which the file gives them."""
    with sqlite3.connect(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608
    return [[value if isinstance(value, bytes) else str(value).encode() for value in row] for row in rows]


@pytest.fixture(scope="module")
def colluders(tmp_path_factory: pytest.TempPathFactory) -> Colluders:
    return asyncio.run(collude(tmp_path_factory.mktemp("colluders")))


async def collude(folder: Path) -> Colluders:
    listener, root = _Listener(), logging.getLogger()
    root.addHandler(listener)
    level = root.level
    root.setLevel(logging.DEBUG)
    parts, keys = Parts(folder), pass_keys(folder / "keys", FOLDER)
    try:
        found = await issue_and_spend(parts, keys, folder)
    finally:
        await parts.close()
        root.removeHandler(listener)
        root.setLevel(level)
    return replace(found, said=" ".join(listener.lines))


async def issue_and_spend(parts: Parts, keys: PassKeys, folder: Path) -> Colluders:
    keys.make(Period(KIND_ENTRY, EPOCH))
    key = keys.get(Period(KIND_ENTRY, EPOCH))
    assert key is not None
    parts.chain.set_key(key, KIND_ENTRY, EPOCH)
    node = await parts.node(parts.path()[0])
    node.state.campaigns[CAMPAIGN] = campaign()
    place = DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN
    scope = Scope(*place, KIND_ENTRY, EPOCH)
    store = Store(folder / "issuer.db", *place)
    store.put_key(StoredKey(KIND_ENTRY, EPOCH, key.public.to_bytes(), Amount(1)))
    issuer = Issuer(
        campaign=Campaign(*place, SIGNER, IDENTITY), schedule=node.view.schedule, claim_window=1,
        store=store, keys=keys,
    )  # fmt: skip
    requests = [PassRequest.new(scope, key.public, DICE.randbytes) for _ in range(USERS)]
    spent: list[OwnedPass] = []
    for number, request in enumerate(requests):
        asked = api.SignRequest(KIND_ENTRY, EPOCH, request.blinded)
        answer = issue(issuer, asked, Identified("open", person(number), QUOTAS), Epoch(EPOCH))
        spent.append(request.finish(answer.signature))
    truth = list(range(USERS))
    DICE.shuffle(truth)
    passes: list[Record] = [[] for _ in spent]
    for number in sorted(range(USERS), key=truth.__getitem__):  # they spend in another order than they asked
        passes[truth[number]] = await spend(node, spent[number], key)
    rows = {row[0]: row for row in dump(folder / "issuer.db") if len(row[0]) == 16}
    users: list[Record] = []
    for number in range(USERS):
        counted = counted_identity(IDENTITY, "open", person(number), KIND_ENTRY, EPOCH)
        asked = asked_for(IDENTITY, counted, requests[number].blinded)
        users.append([person(number), *rows[counted], *rows[asked]])
    store.close()
    dumps = dump(folder / "issuer.db"), dump(folder / f"relay{node.me}.sqlite")
    return Colluders(users, passes, truth, dumps, requests, spent, key, "")


def person(number: int) -> bytes:
    """What the policy `open` knows of a user: the address."""
    return b"address:" + bytes([192, 0, 2, number])


async def spend(node: Node, owned: OwnedPass, key: SecretKey) -> Record:
    """Show a pass to the entry, whomever it draws, and spend some ticks; what the entry knows of it then."""
    shown, snapshot = owned.shown(), node.view.snapshot(Epoch(EPOCH))
    drawn = drawn_position(owned.signature, snapshot.beacon, snapshot.count)
    presented = node.passes.present(shown, node.state.pass_rules(shown.scope, key.public), drawn, 1 << 20)
    spender = PassSpender(owned, DICE.randrange(200))
    spender.reserve(1)
    taken = node.passes.accept_tick(presented.pass_id, spender.next_tick())
    assert presented.record is not None
    ops = pass_op(presented.pass_id, presented.record), pass_key_op(shown.scope, key.public.to_bytes())
    await node.store.written([*ops, tick_op(taken)])
    ends = shown.heads[:32], shown.heads[-32:]
    return [shown.id, shown.anchor, shown.signature, *ends, taken.link, taken.number.to_bytes(2, "big")]


# ------------------------------------------------------------------ what is stored


def test_noValueOfAUser_isInTheOthersDatabase(colluders: Colluders) -> None:
    """Not even eight bytes of one, but for what is the same for all: the deployment, the campaign's key."""
    issuers, entrys = (_pieces(*itertools.chain(*rows)) for rows in colluders.dumps)
    common = _pieces(colluders.key.public.to_bytes(), DEPLOYMENT.pool, DEPLOYMENT.registry, bytes(8))
    assert issuers & entrys <= common
    assert _pieces(*(request.blinded for request in colluders.requests)).isdisjoint(issuers)
    assert issuers
    assert _pieces(*(owned.signature for owned in colluders.spent)) <= entrys


def _pieces(*values: bytes) -> set[bytes]:
    return {value[at : at + 8] for value in values for at in range(len(value) - 7)}


def _functions(key: SecretKey) -> list[Callable[[bytes], bytes]]:
    """What somebody may have applied to a value before it was stored, with every secret there is."""
    secrets = [SIGNER, IDENTITY, FOLDER, key.p.to_bytes(128, "big"), key.q.to_bytes(128, "big")]
    plain: list[Callable[[bytes], bytes]] = [bytes, lambda v: sha256(v).digest(), keccak256]
    plain.append(lambda v: blake2b(v, digest_size=16).digest())
    return plain + [partial(lambda secret, v: hmac.digest(secret, v, "sha256"), secret) for secret in secrets]


def best_guess(colluders: Colluders) -> int:
    """How many users the best of some thousand ways to compare values gives the right pass."""
    functions, best = _functions(colluders.key), 0
    for f, g in [(f, bytes) for f in functions] + [(bytes, g) for g in functions[1:]]:
        for mine, its in itertools.product(range(len(colluders.users[0])), range(len(colluders.passes[0]))):
            users = [f(record[mine]) for record in colluders.users]
            passes = [g(record[its]) for record in colluders.passes]
            best = max(best, *(_hits(users, passes, end, colluders.truth) for end in (True, False)))
    in_order = sum(place == number for place, number in enumerate(colluders.truth))
    return max(best, in_order)


def _hits(users: list[bytes], passes: list[bytes], end: bool, truth: list[int]) -> int:
    """Each user is given the pass whose value differs in the fewest bits."""
    mine, its = (
        [int.from_bytes(v[-8:] if end else v[:8].ljust(8, b"\0"), "big") for v in side]
        for side in (users, passes)
    )
    if len(set(mine)) < USERS // 2 or len(set(its)) < USERS // 2:
        return 0  # a value that many share names nobody
    guesses = (min(range(USERS), key=lambda n: (m ^ its[n]).bit_count()) for m in mine)
    return sum(guess == right for guess, right in zip(guesses, truth, strict=True))


def test_noComparisonOfWhatIsStored_isBetterThanChance(colluders: Colluders) -> None:
    assert best_guess(colluders) < BY_LUCK


@pytest.mark.parametrize("leak", ["the pass's name", "a hash of the signature", "under the issuer's secret"])
def test_comparison_findsALeak_ifThereIsOne(colluders: Colluders, leak: str) -> None:
    """So the test above can fail: as if the issuer had kept something of the pass that it signed."""
    users = [list(record) for record in colluders.users]
    for record, owned in zip(users, colluders.spent, strict=True):
        if leak == "the pass's name":
            record.append(owned.shown().id)
        elif leak == "a hash of the signature":
            record.append(sha256(owned.signature).digest())
        else:
            record.append(hmac.digest(IDENTITY, owned.shown().anchor, "sha256"))
    assert best_guess(replace(colluders, users=users)) == USERS


def test_logs_nameNoUserAndNoPass(colluders: Colluders) -> None:
    said = colluders.said
    assert "192.0.2." not in said
    for request, owned in zip(colluders.requests, colluders.spent, strict=True):
        for value in (request.blinded, owned.signature, owned.shown().id, owned.shown().anchor):
            assert value.hex()[:16] not in said
            assert base64.b64encode(value).decode()[:12] not in said


# ------------------------------------------------------------------ what is seen


def test_everyPassFitsEveryRequest_evenForWhoHasTheKey(colluders: Colluders) -> None:
    """Whoever remembers all blinded messages, and has the key, finds for each pair of a request and a pass a
    blinding factor that makes them belong together: so nothing tells which do.
    """
    key, some = colluders.key, 8
    n, e = key.public.n, key.public.e
    for request, owned in itertools.product(colluders.requests[:some], colluders.spent[:some]):
        message = owned.scope.message(owned.shown().anchor)
        encoded = int.from_bytes(blind_rsa.encode(PASS_SUITE, message, key.public.bits - 1, b""), "big")
        blinded = int.from_bytes(request.blinded, "big")
        factor = key.root(blinded * int(gmpy2.invert(encoded, n)) % n, e)
        assert gmpy2.gcd(factor, n) == 1
        assert encoded * int(gmpy2.powmod(factor, e, n)) % n == blinded
        signed = int.from_bytes(blind_rsa.blind_sign(key, request.blinded, DICE.randbytes), "big")
        assert signed * int(gmpy2.invert(factor, n)) % n == int.from_bytes(owned.signature, "big")
