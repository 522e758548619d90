"""No secret of a relay reaches its logs, its errors, a crash dump with all locals, or a file but its own.

Looked for: operator key, link key, the key store's password, packet keys, the owner's key, the operator's
token, responses of receipts; as bytes, hexadecimal, numbers, base64.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import stat
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chain_world import World
from mixpay import eip712, keystore
from mixpay.chain.devchain import DevChain
from mixpay.chain.sender import Sender
from mixpay.errors import MixpayError, UserError
from mixpay.keystore import Kdf
from mixpay.local_api import ApiFile
from mixpay.types import Epoch
from relay import process as relay_process
from relay.daemon import Daemon
from relay.home import Home
from relay.operator.api_client import ApiClient
from relay.operator.operations import RelayOperations
from relay.path.books import Side
from relay.process import Signals
from relay.retired import RetiredRelays
from relay.rotation.rotate import Rotation
from relay.store.ops import Put
from relay.supervisor import Supervisor
from relay_parts import Parts
from rotation_scene import PASSWORD, Scene, make_scene
from test_supervisor import until


def forms(secret: bytes) -> Iterator[str]:
    """How bytes may appear in a text."""
    for piece in (secret, secret[:16], secret[16:]):
        if len(piece) >= 8:
            yield piece.hex()
            yield repr(piece)[2:-1]
            yield base64.b64encode(piece).decode().rstrip("=")[:-1]
    yield str(int.from_bytes(secret, "big"))
    yield ", ".join(map(str, secret[:8]))


def found_in(text: str, secrets: dict[str, bytes | str]) -> list[str]:
    """The names of secrets that a text shows."""
    lower = text.lower()
    found = []
    for name, secret in secrets.items():
        shapes = [secret] if isinstance(secret, str) else list(forms(secret))
        if any(shape.lower() in lower for shape in shapes):
            found.append(name)
    return found


@pytest.mark.parametrize(
    "show", [repr, bytes.hex, lambda b: str(int.from_bytes(b, "big")), lambda b: str(list(b))]
)
def test_finder_findsSecrets(show: Callable[[bytes], str]) -> None:
    """Or the tests below could not fail."""
    secret = os.urandom(32)
    assert found_in(f"so it goes: {show(secret)}!", {"it": secret}) == ["it"]
    assert found_in(f"so it goes: {show(os.urandom(32))}!", {"it": secret}) == []


@dataclass
class Running:
    """A relay's process with everything loaded, and what it said."""

    scene: Scene
    task: asyncio.Task[None]
    signals: Signals
    supervisor: Supervisor
    secrets: dict[str, bytes | str] = field(default_factory=dict)

    @property
    def daemon(self) -> Daemon:
        return self.supervisor.daemons[0]


@pytest_asyncio.fixture
async def running(
    chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    unused_tcp_port_factory: Callable[[], int],
) -> AsyncIterator[Running]:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    world = World(chain)
    scene = make_scene(world, tmp_path / "relay")
    for path in scene.folder.glob("relay.sqlite*"):
        path.unlink()
    made: list[Supervisor] = []

    def supervisor(*arguments: object) -> Supervisor:
        made.append(Supervisor(*arguments))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(relay_process, "Supervisor", supervisor)
    ports = {name: str(unused_tcp_port_factory()) for name in ("link_port", "client_port", "api_port")}
    text = (scene.folder / "relay.toml").read_text()
    for name, old in (("link_port", 7001), ("client_port", 7002), ("api_port", 7009)):
        text = text.replace(f"{name} = {old}", f"{name} = {ports[name]}")
    (scene.folder / "relay.toml").write_text(text)
    await asyncio.to_thread(scene_registers_again, scene)
    (scene.folder / "keys" / "signed-epochs").unlink()
    home, signals = Home.open(scene.folder, PASSWORD), Signals()
    task = asyncio.create_task(relay_process.serve(home, RetiredRelays(scene.folder, []), signals))
    await until(lambda: task.done() or bool(made and made[0].daemons))
    running = Running(scene, task, signals, made[0])
    world.next_epoch()
    world.freeze()
    world.next_epoch()
    daemon = running.daemon
    await until(lambda: bool(daemon.state.epoch_keys()))
    api = msgspec.json.decode((scene.folder / "api.json").read_bytes(), type=ApiFile)
    running.secrets = {
        "operator key": bytes(home.operator_key),
        "link key": bytes(home.link_seed),
        "password": PASSWORD,
        "owner's key": scene.owner.key,
        "token": api.token,
        **{f"packet key {e}": bytes(k.secret) for e, k in daemon.state.epoch_keys().items()},
    }
    yield running
    signals.came()
    signals.came()
    await asyncio.gather(task, return_exceptions=True)


def scene_registers_again(scene: Scene) -> None:
    from relay.operator.registration import Owner

    Owner(scene.folder, scene.owner.key, lambda _: None).register(PASSWORD, 0, 0)  # type: ignore[arg-type]


async def test_everyLocalOfEveryTask_showsNoSecret(running: Running) -> None:
    """What a crash dump with locals would have: all tasks, all threads, and the parts themselves."""
    shown: list[str] = []
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            for frame in task.get_stack():
                shown += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
    for frame in sys._current_frames().values():
        if frame is not sys._getframe():
            shown += [f"{n}={v!r}" for n, v in frame.f_locals.items() if n not in ("running", "shown")]
    daemon = running.daemon
    shown += [f"{name}={value!r}" for name, value in vars(daemon).items()]
    for part in (
        daemon.state,
        daemon.keys,
        daemon.chain,
        daemon.money,
        daemon.court,
        daemon.books,
        daemon.home,
    ):
        names = getattr(part, "__slots__", None) or vars(part)
        shown += [f"{name}={getattr(part, name, None)!r}" for name in names]
    assert len(shown) > 50
    assert found_in("\n".join(shown), running.secrets) == []


class Broken(RuntimeError):
    """Something that nobody has expected."""


@pytest.mark.parametrize("where", ["eip712", "sender", "store"])
async def test_crashWithKeysAtHand_dumpsNoSecret(
    running: Running, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback with the locals of all its frames, as some tools send them away."""
    daemon, raised = running.daemon, Broken("at the worst moment")

    def fail(*_: object, **__: object) -> None:
        raise raised

    if where == "eip712":
        with pytest.raises(ValueError, match="32 bytes") as caught:
            eip712.sign(running.daemon.home.operator_key, b"no digest: at the worst moment")
    elif where == "sender":
        monkeypatch.setattr(Sender, "_push", fail)
        with pytest.raises(Broken) as caught:
            await asyncio.to_thread(daemon.sender.transfer_ether, running.scene.owner.account, 1)
    else:
        monkeypatch.setattr(daemon.store, "written", fail)
        monkeypatch.setattr(daemon.state.keys, "_newest", Epoch(0))
        monkeypatch.setattr(daemon.record, "read", lambda: None)
        with pytest.raises(Broken) as caught:
            await daemon.keys.make()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames.stack = traceback.StackSummary.from_list(
        [frame for frame in frames.stack if "tests/unit" not in frame.filename]
    )
    dump = "".join(frames.format())
    assert type(caught.value).__name__ in dump and dump.count("File ") >= 1
    assert found_in(dump, running.secrets) == []
    monkeypatch.undo()


async def test_logsAnswersAndErrors_showNoSecret(
    running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ApiClient(running.scene.folder)
    said = []
    for path, method in (
        ("/status", "GET"),
        ("/metrics", "GET"),
        ("/drain?wait=1", "POST"),
        ("/resume", "POST"),
    ):
        said.append((await asyncio.to_thread(client.ask, method, path))[1].decode())
    said.append(repr(await asyncio.to_thread(client.settle, 60)))

    def fail(_: object) -> None:
        raise Broken("an answer")

    monkeypatch.setattr(RelayOperations, "status", fail)
    with pytest.raises(MixpayError, match="the daemon failed"):
        await asyncio.to_thread(client.status)
    monkeypatch.undo()
    for attempt in (
        lambda: Home.open(running.scene.folder, "guess"),
        lambda: keystore.load(running.scene.folder / "keys", "none", PASSWORD),
        lambda: Rotation(running.scene.folder, b"\1" * 32, PASSWORD, said.append, Kdf.LIGHT).begin(
            (1, 2),
            0,
            0,  # type: ignore[arg-type]
        ),
        lambda: running.scene.rotation(said.append).begin((5, 5), 0, 0),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError) as caught:
            attempt()
        said.append("".join(traceback.format_exception(caught.value)))
    assert "an answer" in caplog.text, "the traceback is in the log"
    assert found_in(caplog.text + "".join(said), running.secrets) == []


async def test_filesOfTheFolder_holdNoSecret_butThoseOfTheKeys(running: Running) -> None:
    """Packet keys live in the database, for a restart; it is as private as the key store."""
    own = {"api.json": {"token"}}
    for path in sorted(running.scene.folder.rglob("*")):
        if not path.is_file() or path.name == "network.json":
            continue
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        content = path.read_bytes()
        allowed = own.get(path.name, set())
        if path.name.startswith("relay.sqlite"):
            allowed = {name for name in running.secrets if name.startswith("packet key")}
        raw = [n for n, s in running.secrets.items() if isinstance(s, bytes) and s in content]
        shown = set(raw) | set(found_in(content.decode("latin-1"), running.secrets))
        assert shown <= allowed, path


def test_responsesAndAcks_doNotShowThemselves(tmp_path: Path) -> None:
    """Of every row that a book keeps: who sees a response with its lock knows which packets were carried."""

    async def carry() -> None:
        parts = Parts(tmp_path)
        for payer, payee in zip(parts.path(), parts.path()[1:], strict=False):
            await parts.connect(payer, payee)
        built = parts.packet()
        entry = parts.nodes[parts.path()[0]]
        entry.router.submit(built.first_relay, 2, built.lock, built.hint, built.packet)
        await parts.run(2)
        mix = parts.nodes[parts.path()[1]]
        rows = dict(mix.store.book_rows())[Side.PAYER, entry.me]
        secrets = {
            f"{type(row).__name__} {name}": getattr(row, name)
            for row in rows
            for name in ("response", "ack")
            if hasattr(row, name)
        }
        assert len(secrets) >= 2
        everything = [repr(rows), repr(mix.books.payees), repr(vars(mix.books.payee(entry.me)))]
        everything.append(repr(Put(None, (), secrets.popitem()[1])))  # type: ignore[arg-type]
        assert found_in("\n".join(everything), secrets) == []
        await parts.close()

    asyncio.run(carry())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
@pytest.mark.parametrize("name", ["operator", "link"])
def test_keyThatOthersRead_isRefused_withTheCommandToRun(
    tmp_path: Path, world: World, name: str, mode: int
) -> None:
    scene = make_scene(world, tmp_path / "relay")
    path = scene.folder / "keys" / f"{name}.json"
    path.chmod(mode)
    with pytest.raises(UserError, match=rf"others can open .*: run  chmod 600 {path}"):
        Home.open(scene.folder, PASSWORD)
    path.chmod(0o600)
    (scene.folder / "keys").chmod(0o755)
    with pytest.raises(UserError, match=rf"run  chmod 700 {scene.folder / 'keys'}"):
        Home.open(scene.folder, PASSWORD)
