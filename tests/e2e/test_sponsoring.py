"""docs/sponsoring.md, read by a dApp's developer: its commands are run as they stand; then users come.

One network for the page and for examples/dapp: a chain, nine relays, an issuer, the dApp, each a process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import sponsoring_page
from examples.dapp.user import Login
from mixpay import client
from mixpay.demo.ports import free_ports
from mixpay.sponsor import api
from sponsoring_page import Answer, Terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PASSWORD = "for-experiments-too"
HELLO = "hello, and nobody paid but the dApp"


@dataclass(frozen=True)
class Place:
    """The reader's terminal, what it printed, and where everything is."""

    terminal: Terminal
    answers: list[tuple[str, Answer]]
    settings: client.ClientConfig
    dapp: str

    def login(self, name: str, password: str = PASSWORD) -> Login:
        return Login(self.dapp, name, password, "api-key")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    issuer, dapp = free_ports(2)
    terminal = Terminal(tmp_path_factory.mktemp("page") / "terminal", (issuer, dapp))
    try:
        answers = list(sponsoring_page.run(terminal))
        url = terminal.variable("DAPP")
        settings = client.ClientConfig(
            terminal.variable("RPC"), terminal.variable("DEPLOYMENT"), f"{url}/mixpay"
        )
        yield Place(terminal, answers, settings, url)
        assert terminal.paste(sponsoring_page.blocks()[-1]).status == 0
        # The chain's guard needs a moment more than the devnet.
        terminal.marked.wait_until("the end of all processes", lambda: len(terminal.marked.alive()) == 1)
    finally:
        terminal.marked.clean_up()


def test_page_leadsToTheFirstFreeMessage(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (number,) = [n for n, (block, _) in enumerate(place.answers) if "bob receive" in block]
    sent, received = place.answers[number][1].stdout.splitlines()
    assert sent.startswith("sent in 1 packets; left today: 16,38")
    assert received == HELLO
    with capsys.disabled():
        seconds = [answer.seconds for _, answer in place.answers[: number + 1]]
        each = ", ".join(f"{part:.1f}" for part in seconds)
        print(f"\ndocs/sponsoring.md: to the first free message in {sum(seconds):.1f} s ({each})")


def test_page_endsWithWhatTheSponsorSees(place: Place) -> None:
    block, answer = place.answers[-1]
    assert block == "mixpay sponsor status\n"
    assert answer.stdout.startswith("campaign 1, epoch 2, ")


async def test_withoutALogin_thereIsNoPass(place: Place) -> None:
    for name, password in (("mallory", PASSWORD), ("alice", "guessed")):
        async with client.open_user(
            settings=place.settings, credentials=place.login(name, password)
        ) as nobody:
            with pytest.raises(client.UserError, match="knows no such name and password"):
                await nobody.address()
            assert nobody.passes() == []


async def test_aTokenThatIsNone_isRefused_alsoByTheIssuerItself(place: Place) -> None:
    async def guessed(wanted: client.Wanted) -> client.Shown:
        return client.Shown("api-key", '{"key": "guessed", "user": "1"}')

    issuer = f"http://127.0.0.1:{place.terminal.variable('ISSUER_PORT')}"
    for url, why in ((place.settings.sponsor_url, "log in again"), (issuer, "identity_refused")):
        settings = client.ClientConfig(place.settings.rpc_url, place.settings.deployment, url)
        async with client.open_user(settings=settings, credentials=guessed) as nobody:
            with pytest.raises(client.IssuerRefused, match=why) as refused:
                await nobody.address()
            assert refused.value.label == "identity_refused"


async def test_usersWriteToEachOther_untilTheirQuotaIsUsedUp_whichIsSaid(place: Place) -> None:
    """Each of these users has no folder, and so no pass of Bob's earlier programs."""

    async def open_another() -> None:
        async with client.open_user(settings=place.settings, credentials=place.login("bob")) as another:
            await another.address()

    async with (
        client.open_user(settings=place.settings, credentials=place.login("bob")) as bob,
        client.open_user(settings=place.settings, credentials=place.login("alice")) as alice,
    ):
        address = await bob.address()
        assert [held.kind for held in bob.passes()] == ["mailbox"]
        await alice.send(str(address), "one")
        await alice.send(address, "two")
        found: set[str] = set()
        async with asyncio.timeout(60):
            async for message in bob.messages():
                found.add(message.text)
                if found == {"one", "two"}:
                    break
        assert [held.ticks for held in alice.passes() if held.kind == "entry"] == [16_382]
        with pytest.raises(client.IssuerRefused, match="you have had all passes of this period") as refused:
            for _ in range(4):
                await open_another()
        assert refused.value.label == "quota_exceeded"


async def test_byCallback_theIssuerAsksTheDapp(place: Place) -> None:
    """The same dApp the other way round: its issuer is asked by users, and asks it whose token they show."""
    terminal = place.terminal
    answer = terminal.paste(
        """
        (umask 077; python -c "import secrets; print(secrets.token_hex(32))" > sponsor/callback-secret.txt)
        kill %2 %3; wait %2 %3
        printf '\\n[[policy]]\\nkind = "callback"\\nurl = "%s/whose-token"\\n' $DAPP >> sponsor/sponsor.toml
        mixpay sponsor serve >> issuer.log 2>&1 &
        issuer=http://127.0.0.1:$ISSUER_PORT
        python $DAPP_EXAMPLE/app.py serve --folder dapp --port $DAPP_PORT --sponsor $issuer \\
            --secret-file sponsor/callback-secret.txt >> dapp.log 2>&1 &
        until curl --silent --output dapp.html $DAPP; do sleep 0.2; done
        until curl --silent --output campaign.json $issuer/v1/campaign; do sleep 0.2; done
        """
    )
    assert answer.status == 0, terminal.marked.stderr
    issuer = f"http://127.0.0.1:{terminal.variable('ISSUER_PORT')}"
    settings = client.ClientConfig(place.settings.rpc_url, place.settings.deployment, issuer)
    login = Login(place.dapp, "alice", PASSWORD, "callback")
    async with client.open_user(settings=settings, credentials=login) as alice:
        assert (await alice.address()).relay
        assert alice.passes()
    async with client.open_user(settings=settings, credentials=lambda _: _show("callback", "x")) as nobody:
        with pytest.raises(client.IssuerRefused, match="identity_refused"):
            await nobody.address()


async def _show(policy: str, credential: str) -> client.Shown:
    assert len(credential) < api.MAX_CREDENTIAL
    return client.Shown(policy, credential)
