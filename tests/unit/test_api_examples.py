"""`mixpay.client` and `mixpay.sponsor` for programs: their examples run, and what goes wrong is said."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import client_world
import sponsor_world
from client_world import LiveWorld
from mixpay import client, sponsor
from mixpay import deployment as deployments
from mixpay.chain.devchain import DevChain
from mixpay.client import app, user
from mixpay.client.credentials import Shown, Wanted
from mixpay.client.issuer import Issuer
from mixpay.client.keeping import Keeper
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.parameters import TOKEN
from mixpay.passes import KIND_ENTRY, PassRequest, Scope
from mixpay.sponsor import campaigns
from mixpay.sponsor.keys import PassKeys
from mixpay.sponsor.policies.open import OpenPolicy
from mixpay.types import Account, Amount, Epoch
from pass_keys import pass_keys


def example(package: ModuleType) -> dict[str, Any]:
    """What the program in a package's docstring defines."""
    assert package.__doc__ is not None
    lines = inspect.cleandoc(package.__doc__).splitlines()
    code = textwrap.dedent("\n".join(line for line in lines if not line or line.startswith("    ")))
    found: dict[str, Any] = {"__name__": f"example of {package.__name__}"}
    exec(compile(code, f"{package.__name__}.__doc__", "exec"), found)  # noqa: S102 our own text
    return found


async def until(output: list[str], beginning: str) -> str:
    """The line that begins so, once it is printed."""
    async with asyncio.timeout(60):
        while not (found := [line for line in output if line.startswith(beginning)]):
            await asyncio.sleep(0.02)
    return found[0]


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("package", [client, sponsor], ids=["client", "sponsor"])
def test_everyName_isTheOneThatTypeCheckersSee(package: ModuleType) -> None:
    tree = ast.parse(Path(str(package.__file__)).read_text())
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in typed.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: str(node.module) for node in imports for alias in node.names}
    assert seen == package._TABLE
    for name, module in seen.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_whoImportsThePackages_doesNotWaitForAllOfThem() -> None:
    program = "import sys, mixpay.client, mixpay.sponsor; print({'web3', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------------- the client


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def live(
    tmp_path: Path, keys: PassKeys, chain: DevChain, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LiveWorld]:
    monkeypatch.setattr(client_world, "OpenPolicy", lambda quotas: OpenPolicy(quotas, "callback"))
    monkeypatch.setattr(app, "POLL_SECONDS", 0.05)
    monkeypatch.setitem(user.open_user.__wrapped__.__kwdefaults__, "kdf", client.Kdf.LIGHT)
    monkeypatch.chdir(tmp_path)
    world = await asyncio.to_thread(LiveWorld, tmp_path, keys, chain)
    deployments.save(tmp_path / "network.json", world.deployment)
    async with world.running():
        yield world


async def show(wanted: Wanted) -> Shown:
    return Shown("callback", "token")


def settings(live: LiveWorld, **other: Any) -> client.ClientConfig:
    return client.ClientConfig(live.chain.url, "network.json", live.url, **other)


async def test_clientsExample_sendsAndReceives(live: LiveWorld, capsys: pytest.CaptureFixture[str]) -> None:
    greet = example(client)["greet"]
    await asyncio.wait_for(greet(live.chain.url, "network.json", live.url), 60)
    sent, received = capsys.readouterr().out.splitlines()
    assert sent.startswith("sent in 1 packets; passes: [HeldPass(kind='entry', period=2, ticks=16383)]")
    assert received == "hello"
    assert (live.folder / "bob" / "config.toml").exists(), "Bob has a folder"


async def test_messages_comeAgainIfHandlingThemFails_andNotOtherwise(live: LiveWorld) -> None:
    @contextlib.asynccontextmanager
    async def bob() -> AsyncIterator[client.User]:
        async with client.open_user("bob", "a password", settings=settings(live), credentials=show) as bob:
            yield bob

    async def first(reader: client.User) -> str:
        async for message in reader.messages():
            return message.text
        raise AssertionError("`messages` ends by itself")

    async with bob() as reader, client.open_user(settings=settings(live), credentials=show) as other:
        address = await reader.address()
        await other.send(address, client.file_message("a.txt", b"one"))
        with pytest.raises(client.UserError, match="you have no mailbox yet"):
            await first(other)
    with pytest.raises(ZeroDivisionError):
        async with bob() as reader:
            assert await first(reader) == "one"
            raise ZeroDivisionError
    async with bob() as reader:
        assert await first(reader) == "one"
    async with bob() as reader:
        assert [message.text async for message in reader.messages(follow=False)] == []


async def test_keepPasses_looksAgainAndAgain_withWhatTheChainSaysNow(
    live: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: asyncio.Queue[int] = asyncio.Queue()

    async def once(keeper: Keeper) -> int:
        looks.put_nowait(keeper._view.epoch)
        return 0

    monkeypatch.setattr(Keeper, "once", once)
    monkeypatch.setattr(Keeper, "_look", 0.01)
    async with client.open_user(settings=settings(live), credentials=show) as somebody:
        keeping = asyncio.create_task(somebody.keep_passes())
        assert [await asyncio.wait_for(looks.get(), 20) for _ in range(2)] == [2, 2]
        live.chain.advance_time(to=live.view.schedule.start(Epoch(3)))
        async with asyncio.timeout(20):
            while await looks.get() != 3:
                pass
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping


async def test_settings_areAFoldersForGood(live: LiveWorld) -> None:
    with pytest.raises(client.UserError, match="no configuration at bob"):
        async with client.open_user("bob", "a password"):
            pass
    with pytest.raises(client.UserError, match="not the address of a sponsor"):
        wrong = client.ClientConfig(live.chain.url, "network.json", "nonsense")
        async with client.open_user("bob", "a password", settings=wrong):
            pass
    for given in (settings(live), None, settings(live)):
        async with client.open_user("bob", "a password", settings=given):
            pass
    with pytest.raises(client.UserError, match="has other settings"):
        async with client.open_user("bob", "a password", settings=settings(live, campaign=7)):
            pass
    with pytest.raises(client.UserError, match="wrong password"):
        async with client.open_user("bob", "another"):
            pass


# ---------------------------------------------------------------------- the sponsor


async def test_sponsorsExample_servesByAPolicyOfItsOwn(
    chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await asyncio.to_thread(sponsor_world.World, chain, tmp_path)
    output: list[str] = []

    def pay(prompt: str) -> str:
        found = re.search(r"0x([0-9a-f]{40})", prompt)
        assert found is not None
        account = Account(bytes.fromhex(found[1]))
        chain.fund(account, 10**18)
        world.deployer.send(world.contracts.token.transfer(account, Amount(5_000 * TOKEN)))
        return ""

    for name, value in (("port", 0), ("kdf", client.Kdf.LIGHT)):
        monkeypatch.setitem(campaigns.init.__kwdefaults__, name, value)
    program = example(sponsor) | {"input": pay, "print": output.append}
    prepare, serve = (_with(program, name) for name in ("prepare", "serve"))
    folder = tmp_path / "example"
    home = await asyncio.to_thread(prepare, str(folder), "a password", world.rpc.shown, str(world.file))
    serving = asyncio.create_task(serve(home, "a password", {"alice"}))
    url = (await until(output, "passes at ")).removeprefix("passes at ")
    async with aiohttp.ClientSession() as http:
        for name, label in (("alice", ""), ("mallory", "identity_refused")):
            assert await _asked(http, url, world.deployment.pool, name) == label
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not home.service_file.exists()


def _with(program: dict[str, Any], name: str) -> Any:
    """A function of the example, which sees other globals."""
    function = program[name]
    function.__globals__.update(program)
    return function


async def _asked(http: aiohttp.ClientSession, url: str, pool: Account, name: str) -> str:
    """Why a member gets no pass, "" if it does."""

    async def show_name(wanted: Wanted) -> Shown:
        return Shown("members", name)

    issuer = Issuer(http, url, pool, show_name)
    described = await issuer.campaign()
    assert [(offer.name, offer.kind) for offer in described.policies] == [("members", "members")]
    key = next(key for key in described.keys if key.kind == KIND_ENTRY)
    scope = Scope(described.chain_id, described.pool, described.campaign, key.kind, key.period)
    request = PassRequest.new(scope, PublicKey.from_bytes(key.modulus), lambda n: b"\7" * n)
    try:
        await issuer.sign(key.kind, key.period, request.blinded)
    except client.IssuerRefused as refused:
        return refused.label
    return ""
