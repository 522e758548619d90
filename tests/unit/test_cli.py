"""The user's commands as a shell sees them: status, stdout, stderr, no traceback for what can be mended."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
import pytest_asyncio

from client_world import DEPLOYMENT, EPOCH, LiveWorld
from mixpay import deployment as deployments
from mixpay.address import Address
from mixpay.chain.devchain import DevChain
from mixpay.cli import common
from mixpay.cli.main import main
from mixpay.client import app
from mixpay.client.home import ClientConfig, Home
from mixpay.client.prefetch import Plan
from mixpay.client.profile import Pace
from mixpay.client.store import ClientStore
from mixpay.envelope import MAX_MESSAGE
from mixpay.errors import UserError
from mixpay.sponsor.keys import PassKeys
from mixpay.types import RelayId
from pass_keys import pass_keys

SOMEBODY = str(Address(bytes(4), RelayId(1), bytes(16), b"\7" * 32))
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXPAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIXPAY_PASSWORD", "secret")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.json"
    deployments.save(path, DEPLOYMENT)
    return path


@pytest.fixture
def configured(tmp_path: Path, network: Path) -> Home:
    home = Home(tmp_path / "home")
    home.write_config(ClientConfig(NOWHERE, str(network), NOWHERE))
    return home


class Ran:
    """What a command left behind."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.status = main(list(arguments))
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.err

    def fails(self, status: int, text: str) -> None:
        assert (self.status, self.out) == (status, ""), self.err
        assert text in " ".join(self.err.split())
        assert self.err.startswith("Error: ")
        assert self.err.count("\n") == 1, "one line"


@pytest.mark.parametrize("command", ["init", "address", "send", "receive", "passes"])
def test_help_showsAnExample(capsys: pytest.CaptureFixture[str], command: str):
    ran = Ran(capsys, command, "--help")
    assert ran.status == 0
    assert "Example" in ran.out
    assert f"mixpay {command}" in ran.out


def test_help_listsTheCommands(capsys: pytest.CaptureFixture[str]):
    ran = Ran(capsys, "--help")
    assert ran.status == 0
    assert [word in ran.out for word in ("init", "address", "send", "receive", "sponsor")] == [True] * 5
    assert "mixpay" in Ran(capsys, "--version").out


def test_help_waitsForNoLibrary():
    program = (
        "import sys; from mixpay.cli.main import main; main(['--help']);"
        "print([m for m in ('web3', 'eth_account', 'aiohttp', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [["fly"], ["send"], ["send", "a", "b", "c"], ["init"], ["receive", "--what"]]
)
def test_usage_isExplained_withStatusTwo(capsys: pytest.CaptureFixture[str], arguments: list[str]):
    ran = Ran(capsys, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Error: ") and "(see mixpay" in ran.err


def test_init_makesAFolder_once(capsys: pytest.CaptureFixture[str], network: Path, tmp_path: Path):
    first = ["init", "--rpc", NOWHERE, "--deployment", str(network), "--sponsor", NOWHERE, "--campaign", "4"]
    assert Ran(capsys, *first).status == 0
    config = Home(tmp_path / "home").config()
    assert (config.rpc_url, config.campaign, config.deployment) == (NOWHERE, 4, str(network))
    Ran(capsys, *first).fails(2, "exists already")


def test_init_keepsWhatIsShownToTheSponsor(
    capsys: pytest.CaptureFixture[str], network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    first = ["init", "--rpc", NOWHERE, "--deployment", str(network), "--sponsor", NOWHERE]
    twice = "--token", "a", "--token-file", "b"
    Ran(capsys, *first, *twice).fails(2, "say once where the token comes from")
    Ran(capsys, *first, "--token-command", "'").fails(2, "--token-command")
    shown = "--policy", "login", "--token-command", "tell --as 'my self'", "--wallet-key-file", "k.json"
    assert Ran(capsys, *first, *shown).status == 0
    config = Home(tmp_path / "home").config()
    assert (config.policy, config.token_command) == ("login", ["tell", "--as", "my self"])
    assert config.wallet_key_file == str(tmp_path / "k.json")


def test_init_refusesAddressesThatAreNone(capsys: pytest.CaptureFixture[str], network: Path):
    there = ["--deployment", str(network)]
    Ran(capsys, "init", "--rpc", "here", "--sponsor", NOWHERE, *there).fails(2, "not an RPC address")
    Ran(capsys, "init", "--rpc", NOWHERE, "--sponsor", "me", *there).fails(2, "not the address of a sponsor")


def test_init_refusesAFileThatIsNoDeployment(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    places = ["--rpc", NOWHERE, "--sponsor", NOWHERE]
    Ran(capsys, "init", *places, "--deployment", str(tmp_path / "no")).fails(2, "no deployment file")
    (tmp_path / "bad").write_text("{}")
    Ran(capsys, "init", *places, "--deployment", str(tmp_path / "bad")).fails(2, "is not a deployment file")


@pytest.mark.parametrize("arguments", [["address"], ["send", SOMEBODY, "hello"], ["receive", "--direct"]])
def test_everything_saysHowToBegin(capsys: pytest.CaptureFixture[str], arguments: list[str]):
    Ran(capsys, *arguments).fails(2, "run `mixpay init")


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("bob", "begins with mix1"),
        (SOMEBODY[:-1], "a part is missing"),
        (SOMEBODY[:50] + "7x" + SOMEBODY[52:], "wrong checksum"),
    ],
)
def test_send_refusesAMalformedAddress(capsys: pytest.CaptureFixture[str], word: str, fault: str):
    Ran(capsys, "send", word, "hello").fails(2, fault)


def test_send_refusesWhatCannotBeSent(
    capsys: pytest.CaptureFixture[str], configured: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    big = tmp_path / "big"
    big.write_bytes(bytes(MAX_MESSAGE + 1))
    Ran(capsys, "send", SOMEBODY, "--file", str(big)).fails(2, "1048577 bytes; at most 1048576 (1 MiB)")
    Ran(capsys, "send", SOMEBODY, "--file", str(tmp_path / "no")).fails(2, "cannot read")
    Ran(capsys, "send", SOMEBODY, "--file", str(tmp_path)).fails(2, "cannot read")
    Ran(capsys, "send", SOMEBODY, "hello", "--file", str(big)).fails(2, "either TEXT or --file")
    Ran(capsys, "send", SOMEBODY, "").fails(2, "nothing to send")
    Ran(capsys, "send", SOMEBODY).fails(2, "nothing to send")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(MAX_MESSAGE + 1))))
    Ran(capsys, "send", SOMEBODY).fails(2, "can be sent at once")


def test_receive_needsAMailbox(capsys: pytest.CaptureFixture[str], configured: Home):
    for way in ([], ["--direct"]):
        Ran(capsys, "receive", *way).fails(2, "you have no mailbox yet")


def test_password_isNeeded_andMustBeRight(
    capsys: pytest.CaptureFixture[str], configured: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    Ran(capsys, "address", "--light-keys").fails(3, "no answer from the RPC endpoint")
    monkeypatch.setenv("MIXPAY_PASSWORD", "guess")
    Ran(capsys, "receive", "--direct").fails(2, "wrong password")
    monkeypatch.delenv("MIXPAY_PASSWORD")
    Ran(capsys, "receive", "--direct").fails(2, "no password: set MIXPAY_PASSWORD")
    file = tmp_path / "password"
    file.write_text("secret\n")
    file.chmod(0o600)
    Ran(capsys, "receive", "--direct", "--password-file", str(file)).fails(3, "no answer")


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        (NOWHERE, 3, "cannot connect"),
        ("nonsense", 2, "not an RPC address"),
        ("ftp://a", 2, "not an RPC address"),
    ],
)
def test_rpc_absentOrWrong(
    capsys: pytest.CaptureFixture[str], network: Path, tmp_path: Path, url: str, status: int, text: str
):
    Home(tmp_path / "home").write_config(ClientConfig(url, str(network), NOWHERE))
    Ran(capsys, "send", SOMEBODY, "hello").fails(status, text)


def test_rpc_ofAnotherChain(capsys: pytest.CaptureFixture[str], chain: DevChain, tmp_path: Path):
    for chain_id, text in (
        (1, "is on chain 31337, the deployment file is for chain 1"),
        (31337, "no contract at"),
    ):
        path = tmp_path / f"{chain_id}.json"
        deployments.save(path, replace(DEPLOYMENT, chain_id=chain_id))
        home = tmp_path / f"home{chain_id}"
        Home(home).write_config(ClientConfig(chain.url, str(path), NOWHERE))
        Ran(capsys, "send", SOMEBODY, "hello", "--home", str(home)).fails(2, text)


def test_profile_mustExist(capsys: pytest.CaptureFixture[str], configured: Home):
    text = configured.config_file.read_text().replace('# profile = "fast"', 'profile = "warp"')
    configured.config_file.write_text(text)
    Ran(capsys, "send", SOMEBODY, "hello").fails(2, "there is no profile 'warp'")


# ---------------------------------------------------------------------- with a network


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def live(tmp_path: Path, keys: PassKeys, chain: DevChain) -> AsyncIterator[LiveWorld]:
    world = await asyncio.to_thread(LiveWorld, tmp_path, keys, chain)
    async with world.running():
        deployments.save(tmp_path / "live.json", world.deployment)
        yield world


def begin(world: LiveWorld, name: str, sponsor: str = "") -> list[str]:
    """A new user's folder, as the option that names it."""
    home = world.folder / name
    config = ClientConfig(world.chain.url, str(world.folder / "live.json"), sponsor or world.url)
    Home(home).write_config(config)
    return ["--home", str(home)]


async def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    return await asyncio.to_thread(Ran, capsys, *arguments)


async def test_aFileAndAText_goFromAliceToBob(
    capsys: pytest.CaptureFixture[str], live: LiveWorld, tmp_path: Path
):
    alice, bob, inbox = begin(live, "alice"), begin(live, "bob"), tmp_path / "inbox"
    made = await run(capsys, "address", *bob, "--light-keys", "--direct")
    assert (made.status, made.err) == (0, "")
    to = made.out.strip()
    again = await run(capsys, "address", *bob, "--json")
    assert json.loads(again.out)["address"] == to
    document = tmp_path / "letter.txt"
    document.write_bytes(os.urandom(20_000))

    sent = await run(capsys, "send", to, "--file", str(document), *alice, "--json")
    assert sent.status == 0, sent.err
    report = json.loads(sent.out)
    assert report["packets_sent"] == report["packets_accepted"] == report["ticks"] == 11
    assert sum(duties["mix"] for duties in report["hops"].values()) == 33
    said = await run(capsys, "send", to, "\x1b[31mhello", *alice)
    assert said.out.endswith("sent in 1 packets\n")

    got = await run(capsys, "receive", "--direct", "--out", str(inbox), *bob)
    assert (got.status, got.err) == (0, "")
    assert got.out == f"{inbox / 'letter.txt'}\n\\u001b[31mhello\n", (
        "a stranger's text does not move the cursor"
    )
    assert (inbox / "letter.txt").read_bytes() == document.read_bytes()
    assert (await run(capsys, "receive", "--direct", *bob)).out == ""

    await run(capsys, "send", to, "--file", str(document), *alice)
    got = await run(capsys, "receive", "--direct", "--out", str(inbox), "--json", *bob)
    file, fetched = map(json.loads, got.out.splitlines())
    assert (file["kind"], file["path"]) == ("file", str(inbox / "letter (1).txt"))
    assert fetched == {"kind": "fetched", "packets": 11}


async def test_acknowledgedMessage_isKept_untilTheReceiverHasIt(
    capsys: pytest.CaptureFixture[str], live: LiveWorld, tmp_path: Path
):
    alice, bob = begin(live, "alice"), begin(live, "bob")
    to = (await run(capsys, "address", *bob, "--light-keys", "--direct")).out.strip()
    asked = ["send", to, "hello", "--acknowledged", "--direct", "--wait", "0"]
    (await run(capsys, *asked, *alice)).fails(
        2, "to be told what arrives you need a mailbox: `mixpay address`"
    )
    await run(capsys, "address", *alice, "--light-keys", "--direct")
    sent = await run(capsys, *asked, *alice, "--json")
    assert sent.status == 1, "it is not done yet"
    report = json.loads(sent.out)
    assert (report["state"], report["pieces"], report["unconfirmed"]) == ("waiting", 1, 1)
    assert [(path["packets"], path["arrived"]) for path in report["paths"]] == [(1, 0)]

    waiting = await run(capsys, "receive", "--direct", *alice)
    assert "is not acknowledged yet: 1 of its 1 pieces; it is kept" in waiting.err
    got = await run(capsys, "receive", "--direct", "--json", *bob)
    text, acks, fetched = map(json.loads, got.out.splitlines())
    assert (text["kind"], acks["kind"], fetched["packets"]) == ("text", "acknowledgements", 1)
    assert (acks["packets_sent"], len(acks["paths"])) == (1, 1)

    ended = await run(capsys, "receive", "--direct", "--json", *alice)
    assert f"message {report['message_id']} has arrived" in ended.err
    own, fetched = map(json.loads, ended.out.splitlines())
    assert (own["kind"], own["state"], own["message_id"]) == ("sent", "acknowledged", report["message_id"])
    assert (await run(capsys, "receive", "--direct", *bob)).out == ""


def test_acknowledgement_needsAMailbox(capsys: pytest.CaptureFixture[str], configured: Home):
    for way in ([], ["--direct"]):
        asked = ["send", SOMEBODY, "hello", "--acknowledged", *way]
        Ran(capsys, *asked).fails(2, "you need a mailbox: `mixpay address` makes one")


def test_help_saysWhatAcknowledgingShows(capsys: pytest.CaptureFixture[str]):
    told = " ".join(Ran(capsys, "send", "--help").out.split())
    assert "shows the receiver your address" in told
    assert "does not learn who sends" in told
    assert "nor that you are here" in " ".join(Ran(capsys, "receive", "--help").out.split())


async def test_mailbox_isMadeAndEmptiedThroughTheNetwork(
    capsys: pytest.CaptureFixture[str], live: LiveWorld, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "REQUESTS", Pace("hasty", 0.03, 0))
    alice, bob = begin(live, "alice"), begin(live, "bob")
    to = (await run(capsys, "address", *bob, "--light-keys")).out.strip()
    await run(capsys, "send", to, "hello", *alice)
    assert (await run(capsys, "receive", *bob)).out == "hello\n"
    assert (await run(capsys, "receive", *bob)).out == ""

    await run(capsys, "address", *alice, "--light-keys")
    asked = ["send", to, "again", "--acknowledged", "--wait", "0"]
    sent = await run(capsys, *asked, *alice, "--json")
    assert json.loads(sent.out)["state"] == "waiting"
    assert (await run(capsys, "receive", *bob)).out == "again\n"
    assert "has arrived" in (await run(capsys, "receive", *alice)).err
    assert [relay.visits for relay in live.relays] == [0] * len(live.relays)
    assert sum(relay.mailboxes.counts[1] for relay in live.relays) == 0


async def test_whatIsMissing_isSaidOnStderr(capsys: pytest.CaptureFixture[str], live: LiveWorld):
    alice, bob = begin(live, "alice"), begin(live, "bob")
    to = (await run(capsys, "address", *bob, "--light-keys", "--direct")).out.strip()
    await run(capsys, "send", to, "x" * 5_000, *alice)
    mailbox = next(relay for relay in live.relays if relay.bodies)
    kept = dict(mailbox.bodies)
    mailbox.bodies.update(dict.fromkeys(list(kept)[:1], bytes(2048)))
    got = await run(capsys, "receive", "--direct", "--json", *bob)
    assert got.status == 0
    assert json.loads(got.out.splitlines()[0])["kind"] == "incomplete"
    assert "2 of 3 pieces are here, and kept" in got.err


def patient(world: LiveWorld, name: str) -> list[str]:
    """A folder whose moments for the next periods are far away."""
    options = begin(world, name)
    home, schedule = Home(world.folder / name), world.view.schedule
    far = schedule.end(EPOCH) - schedule.epoch_length // 4
    secrets = (bytes([number] * 32) for number in range(256))
    plans = ((secret, Plan(schedule, secret, os.urandom)) for secret in secrets)
    secret = next(s for s, plan in plans if all(plan.moments(kind, EPOCH + 1)[0] > far for kind in (1, 2)))
    with ClientStore(home.state_file) as store:
        store.settle_fact("fetching", secret.hex())
    return options


async def test_passes_areListed_andFetchedOnce(capsys: pytest.CaptureFixture[str], live: LiveWorld):
    alice = patient(live, "alice")
    none = await run(capsys, "passes", *alice)
    assert (none.status, none.out) == (0, "no passes: `mixpay passes fetch` fetches what is due\n")
    for count in (2, 0):
        fetched = await run(capsys, "passes", "fetch", *alice)
        assert (fetched.status, fetched.out, fetched.err) == (0, "", f"passes fetched: {count}\n")
    listed = json.loads((await run(capsys, "passes", *alice, "--json")).out)
    assert [(row["kind"], row["period"], row["ticks"], row["state"]) for row in listed] == [
        ("entry", EPOCH, 16_384, "new"),
        ("mailbox", EPOCH, 16_384, "new"),
    ]
    assert all(1 <= row["relay"] <= len(live.relays) for row in listed)
    to = (await run(capsys, "address", *alice, "--light-keys", "--direct")).out.strip()
    await run(capsys, "send", to, "hello", *alice)
    table = (await run(capsys, "passes", *alice)).out
    assert table.splitlines()[0].split() == ["kind", "period", "ticks", "relay", "state"]
    assert table.splitlines()[1].split()[:3] == ["entry", str(EPOCH), "16383"]
    assert "in use" in table
    with ClientStore(Home(live.folder / "alice").state_file) as store:
        (stored,) = store.passes(1, EPOCH)
    for secret in (stored.owned.seed, stored.owned.signature):
        assert secret.hex() not in table + json.dumps(listed)


@pytest.mark.parametrize(
    ("command", "signal_", "status", "said"),
    [
        (["passes", "keep"], signal.SIGTERM, 0, "fetching passes ahead of need\n"),
        (["receive", "--direct", "--follow"], signal.SIGINT, 130, "\ninterrupted\n"),
        (["receive", "--follow"], signal.SIGINT, 130, "\ninterrupted\n"),
    ],
    ids=["passes keep", "receive --direct --follow", "receive --follow"],
)
async def test_keepers_fetchUntilASignalEndsThem(
    capsys: pytest.CaptureFixture[str],
    live: LiveWorld,
    command: list[str],
    signal_: signal.Signals,
    status: int,
    said: str,
):
    alice = patient(live, "alice")
    await run(capsys, "address", *alice, "--light-keys", "--direct")
    program = [sys.executable, "-m", "mixpay.cli.main", *command, *alice]
    process = await asyncio.create_subprocess_exec(
        *program,
        stderr=asyncio.subprocess.PIPE,
        # The tests may be a shell's background job, which ignores Ctrl-C, and so would what it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        with ClientStore(Home(live.folder / "alice").state_file) as store:
            async with asyncio.timeout(60):
                while [store.held(kind, EPOCH).fetched for kind in (1, 2)] != [1, 1]:
                    await asyncio.sleep(0.05)
        process.send_signal(signal_)
        _, stderr = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, stderr.decode()) == (status, said)


@asynccontextmanager
async def staying(options: list[str]) -> AsyncIterator[asyncio.StreamReader]:
    """`mixpay receive --follow`, from the moment that it has the line; what it prints."""
    program = [sys.executable, "-m", "mixpay.cli.main", "receive", "--follow", "--json", *options]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    try:
        home = Home(Path(options[options.index("--home") + 1]))
        async with asyncio.timeout(60):
            while not home.is_held(app.PRESENCE):
                await asyncio.sleep(0.05)
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def test_whoStays_receives_andSendsWhatOtherCommandsPutDown(
    capsys: pytest.CaptureFixture[str], live: LiveWorld
):
    alice, bob = begin(live, "alice"), begin(live, "bob")
    made = [await run(capsys, "address", *who, "--light-keys", "--direct") for who in (alice, bob)]
    home, to = (ran.out.strip() for ran in made)
    async with staying(bob) as heard, asyncio.timeout(120):
        sent = await run(capsys, "send", to, "hello", "--acknowledged", "--direct", "--json", *alice)
        assert json.loads(sent.out)["state"] == "acknowledged"
        assert json.loads(await heard.readline())["text"] == "hello"

        for command in (["send", home, "burst"], ["receive"], ["receive", "--follow"]):
            refused = await run(capsys, *command, *bob)
            assert refused.status == 2 and "runs in this folder" in refused.err
        assert (await run(capsys, "address", *bob)).out.strip() == to

        await run(capsys, "send", home, "and you", "--acknowledged", "--wait", "0", *bob)
        got = ""
        while not got:
            got = (await run(capsys, "receive", "--direct", *alice)).out
        assert got == "and you\n"


def test_background_isForWhoStays(capsys: pytest.CaptureFixture[str], configured: Home):
    for options in ([], ["--direct", "--follow"]):
        Ran(capsys, "receive", "--background", *options).fails(2, "--background is for --follow")


def test_whatASponsorOrARelaySays_commandsNoTerminal(capsys: pytest.CaptureFixture[str]):
    """Refusals and offers are the sponsor's own words."""
    said = "paid\x1b]0;your shell\x07\x1b[2J\u202e, log in at evil\r"

    @click.command()
    def fails() -> None:
        common.say(f"first\n{said}")
        raise UserError(said)

    group = click.Group(commands={"fails": fails})
    assert common.run_program(group, "mixpay", ["fails"]) == 2
    lines = capsys.readouterr().err.split("\n")
    assert lines[0] == "first"
    assert all(line.isprintable() for line in lines)
    assert ["\\x1b]0;your shell" in line for line in lines] == [False, True, True, False]


def test_passesAhead_areAtLeastOne(capsys: pytest.CaptureFixture[str], configured: Home):
    text = configured.config_file.read_text().replace("# passes_ahead = 1", "passes_ahead = 0")
    configured.config_file.write_text(text)
    Ran(capsys, "passes").fails(2, "passes_ahead")


async def test_relaysAndSponsorsThatAreDown_giveStatusOne(
    capsys: pytest.CaptureFixture[str], live: LiveWorld
):
    bob, carol = begin(live, "bob"), begin(live, "carol", NOWHERE)
    (await run(capsys, "address", *carol, "--light-keys")).fails(
        1, "the sponsor at http://127.0.0.1:9 does not answer"
    )
    to = (await run(capsys, "address", *bob, "--light-keys", "--direct")).out.strip()
    for relay in live.relays:
        await relay.stop()
    got = await run(capsys, "receive", "--direct", *bob)
    got.fails(1, "does not answer: cannot connect")
    sent = await run(capsys, "send", to, "hello", *bob)
    assert (sent.status, sent.out) == (1, "")
    assert sent.err.splitlines()[-1].startswith("Error: 5 passes were fetched")


async def test_aFolderBelongsToOneNetwork(
    capsys: pytest.CaptureFixture[str], live: LiveWorld, tmp_path: Path
):
    bob = begin(live, "bob")
    assert (await run(capsys, "address", *bob, "--light-keys", "--direct")).status == 0
    deployments.save(tmp_path / "live.json", replace(live.deployment, pool=DEPLOYMENT.pool))
    (await run(capsys, "address", *bob)).fails(2, "belongs to another network")
