"""Changing the operator key: killed at any point, it goes on; nothing is lost, nothing is doubled."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from chain_world import World
from mixpay import keystore
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO
from mixpay.types import Amount
from relay import config as configs
from relay.home import Home, initialise, operator_account
from relay.home_lock import HomeLock
from relay.operator.registration import Owner
from relay.retired import RetiredRelays
from relay.rotation import plan as plans
from relay.rotation.rotate import Rotation
from rotation_scene import (
    BOOK,
    CAPITAL,
    GAS,
    JOURNAL,
    OLD_LEDGER,
    PASSWORD,
    PORTS,
    Scene,
    killed_at,
    make_scene,
    quiet,
)

LONG = 200
"""More changes than a rotation makes."""


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Scene:
    return make_scene(world, tmp_path / "relay")


def require_rotated(scene: Scene, tokens: int) -> None:
    """Both relays are whole, each in its place; the owner has paid a stake and the capital, once (I1, I6)."""
    registry = scene.world.contracts.registry
    new = operator_account(scene.folder)
    plan = plans.read(scene.folder)
    assert plan is not None and (plan.stage, plan.new) == ("winding up", f"0x{new.hex()}")
    assert scene.tokens() == tokens - DEMO.stake - CAPITAL
    assert (scene.ledger(new), scene.ledger(scene.old)) == (CAPITAL, OLD_LEDGER)
    assert scene.ledger(scene.owner.account) == 0
    assert not registry.relay(registry.relay_of(new)).withdrawable_at
    assert registry.relay(registry.relay_of(scene.old)).withdrawable_at
    require_old(scene)
    opened = Home.open(scene.folder, PASSWORD)
    assert (opened.operator, opened.deployment) == (new, scene.world.deployment)
    assert (opened.config.link_port, opened.config.client_port) == PORTS
    assert (opened.config.api_port, opened.config.treasury.float_) == (7009, 5)
    assert not list(scene.folder.glob("*.sqlite*"))
    assert not (scene.folder / "keys" / "signed-epochs").exists(), "no relay takes over another's record"
    assert not (scene.folder / "successor").exists()


def require_old(scene: Scene) -> None:
    """The old relay's folder has its key, its books with their journal, and its record of signed epochs."""
    opened = Home.open(scene.retired, PASSWORD)
    assert (opened.operator, opened.deployment) == (scene.old, scene.world.deployment)
    assert (opened.config.link_port, opened.config.api_port) == (7001, 0)
    assert (scene.retired / "relay.sqlite").read_bytes() == BOOK
    assert (scene.retired / "relay.sqlite-wal").read_bytes() == JOURNAL
    assert (scene.retired / "keys" / "signed-epochs").read_bytes() == scene.record
    for path in (scene.retired, scene.retired / "keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((scene.retired / "relay.toml").stat().st_mode) == 0o600


def test_rotation_killedBeforeAnyChange_goesOn_andNothingIsLostOrDoubled_I1_I6(scene: Scene) -> None:
    tokens = scene.tokens()
    scene.begin()
    for number in range(1, LONG):
        with scene.again() as copy:
            was_killed = killed_at(number, lambda: copy.rotation().go_on())
            if was_killed:
                copy.rotation().go_on()
            require_rotated(copy, tokens)
        if not was_killed:
            break
    assert number > 20, "files and transactions"


def test_rotation_killedAgainAndAgain_goesOn(scene: Scene) -> None:
    """Each run gets a little further than the one before, down to one change a run where it can."""
    tokens = scene.tokens()
    scene.begin()
    runs, allowed = 0, 1
    while killed_at(allowed, lambda: scene.rotation().go_on()):
        runs += 1
        allowed += 1
        assert runs < LONG
    assert runs > 3
    require_rotated(scene, tokens)


def test_rotation_inTheMiddleOfTheFiles_letsNothingRun(scene: Scene) -> None:
    scene.begin()
    number = 1
    while True:
        assert killed_at(number, lambda: scene.rotation().go_on())
        found = plans.read(scene.folder)
        assert found is not None
        if found.stage in ("retiring", "promoting"):
            break
        number += 1
    for attempt in (
        lambda: Home.open(scene.folder, PASSWORD),
        lambda: initialise(scene.folder, "", PASSWORD, Kdf.LIGHT),
    ):
        with pytest.raises(UserError, match=r"was interrupted: run `mixpay-relay rotate-key` again"):
            attempt()


def test_rotation_whileADaemonRuns_isRefused_andChangesNothing(scene: Scene) -> None:
    """Two processes with one key could sign two packet keys for an epoch."""
    scene.begin()
    with HomeLock(scene.folder), pytest.raises(UserError, match=r"in use by another relay daemon.*stop it"):
        scene.rotation().go_on()
    assert not (scene.folder / "successor").exists()
    assert scene.world.contracts.registry.relay_of(scene.old)


def test_rotation_ofAnotherOwner_orWithAnotherPassword_isRefused(scene: Scene, world: World) -> None:
    thief = world.user(tokens=200)
    with pytest.raises(UserError, match="the configuration's owner is"):
        Rotation(scene.folder, thief.key, PASSWORD, quiet, Kdf.LIGHT).begin(PORTS, CAPITAL, GAS)
    with pytest.raises(UserError, match="wrong password"):
        Rotation(scene.folder, scene.owner.key, "guess", quiet, Kdf.LIGHT).begin(PORTS, CAPITAL, GAS)
    assert plans.read(scene.folder) is None


@pytest.mark.parametrize("ports", [(7001, 7004), (7003, 7002), (7003, 7003)])
def test_rotation_needsPortsOfItsOwn(scene: Scene, ports: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="two ports of its own"):
        scene.rotation().begin(ports, CAPITAL, GAS)
    assert plans.read(scene.folder) is None


def test_rotation_withoutASecondStake_isRefusedBeforeAnything(world: World, tmp_path: Path) -> None:
    scene = make_scene(world, tmp_path / "relay", stakes=1)
    with pytest.raises(UserError, match=r"needs 100 to stake and 2 capital"):
        scene.begin()
    assert plans.read(scene.folder) is None


def test_rotation_ofARelayThatHasLeft_isRefused(scene: Scene) -> None:
    registry = scene.world.contracts.registry
    scene.owner.send(registry.leave(registry.relay_of(scene.old)))
    with pytest.raises(UserError, match="has left or was evicted"):
        scene.begin()


def test_rotation_isOneAtATime(scene: Scene) -> None:
    scene.begin()
    with pytest.raises(UserError, match="is being changed already"):
        scene.begin()
    scene.rotation().go_on()
    with pytest.raises(UserError, match="is being changed already"):
        scene.begin()


def test_rotation_begunTwiceAtTheSameTime_isOne(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has looked for a plan before the first put its own on disk, and asks the chain meanwhile."""
    require_funds = Owner.require_funds

    def first_is_faster(owner: Owner, capital: Amount, gas: int) -> None:
        monkeypatch.setattr(Owner, "require_funds", require_funds)
        with pytest.raises(UserError, match="in use by another"):
            scene.begin()
        require_funds(owner, capital, gas)

    monkeypatch.setattr(Owner, "require_funds", first_is_faster)
    tokens = scene.tokens()
    scene.begin()
    scene.rotation().go_on()
    require_rotated(scene, tokens)


def test_rotation_endsWhenTheOldOneIsSettled_andItsStakeIsFree_I1_I6(scene: Scene) -> None:
    """Not before: with a case in court or a voucher not claimed, the daemon says that more is to be done."""
    world, tokens = scene.world, scene.tokens()
    scene.begin()
    done = scene.rotation().go_on()
    assert done.stage == "winding up"
    settling, bound = done.waits
    assert "not wound up yet" in settling and "is bound until" in bound
    registry = world.contracts.registry
    world.chain.advance_time(to=registry.relay(registry.relay_of(scene.old)).withdrawable_at)
    done = scene.rotation().go_on()
    assert (done.stage, len(done.waits)) == ("winding up", 1), "the stake is paid, the key is still needed"
    assert scene.tokens() == tokens - CAPITAL
    assert scene.ledger(scene.old) == OLD_LEDGER, "the daemon may need it for a bond or a channel"
    require_old(scene)

    (scene.retired / plans.SETTLED).touch()
    said: list[str] = []
    done = scene.rotation(said.append).go_on()
    assert (done.stage, done.waits) == ("done", [])
    assert scene.tokens() == tokens - CAPITAL + OLD_LEDGER, "to the unit: stake and ledger are back"
    assert scene.ledger(scene.old) == 0
    assert scene.world.rpc.balance(scene.old) < GAS // 10
    assert scene.world.rpc.balance(operator_account(scene.folder)) > GAS + GAS // 2
    assert f"{scene.retired} may be deleted" in said[-1]
    assert plans.read(scene.folder) is None
    with pytest.raises(UserError, match="no operator key is being changed"):
        scene.rotation().go_on()
    assert RetiredRelays.open(scene.folder, PASSWORD).notes() == []


def test_rotation_killedWhileItEnds_paysNothingTwice_I1_I6(scene: Scene) -> None:
    world, tokens = scene.world, scene.tokens()
    scene.begin()
    scene.rotation().go_on()
    (scene.retired / plans.SETTLED).touch()
    registry = world.contracts.registry
    world.chain.advance_time(to=registry.relay(registry.relay_of(scene.old)).withdrawable_at)
    for number in range(1, LONG):
        with scene.again() as copy:
            was_killed = killed_at(number, lambda: copy.rotation().go_on())
            if plans.read(copy.folder) is not None:
                assert copy.rotation().go_on().stage == "done"
            assert scene.tokens() == tokens - CAPITAL + OLD_LEDGER
        if not was_killed:
            break
    assert number > 5


def test_rotation_ofARelayThatNeverRan_hasNothingToSettle(scene: Scene) -> None:
    for path in scene.folder.glob("relay.sqlite*"):
        path.unlink()
    scene.begin()
    (bound,) = scene.rotation().go_on().waits
    assert "is bound until" in bound


def test_plan_thatIsDamaged_isNamed(scene: Scene) -> None:
    scene.begin()
    path = scene.folder / plans.PLAN
    for content in (b"", b"{}", path.read_bytes().replace(b"preparing", b"dreaming"), b"\xff"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"rotation.json is damaged"):
            scene.rotation().go_on()


def test_plan_holdsNoSecret(scene: Scene) -> None:
    scene.begin()
    key = keystore.load(scene.folder / "keys", "operator", PASSWORD)
    content = (scene.folder / plans.PLAN).read_bytes()
    for secret in (bytes(key).hex(), scene.owner.key.hex(), PASSWORD):
        assert secret.encode() not in content
    assert set(msgspec.json.decode(content)) == {
        "stage", "old", "new", "link_port", "client_port", "capital", "gas"
    }  # fmt: skip


def test_outlook_namesBothRelaysAndTheDates(scene: Scene) -> None:
    lines = scene.rotation().outlook()
    assert "a stake of its own" in lines[0]
    assert any("100 tokens of stake, by `mixpay-relay withdraw`" in line for line in lines)
    assert any("3 tokens in the ledger, paid to the owner" in line for line in lines)


def test_successorWithAnotherKeyThanThePlan_isNotRegistered(scene: Scene) -> None:
    """Somebody put back an old copy of the folder: its key would be registered, and perhaps nobody has it."""
    scene.begin()
    number = 1
    while (found := plans.read(scene.folder)) is None or found.stage != "registering":
        assert killed_at(number, lambda: scene.rotation().go_on())
        number += 1
    (scene.folder / "successor" / "keys" / "operator.json").unlink()
    keystore.create(scene.folder / "successor" / "keys", ["operator"], PASSWORD, kdf=Kdf.LIGHT)
    with pytest.raises(UserError, match="has another operator key than"):
        scene.rotation().go_on()


@pytest.mark.parametrize("line", ["link_port = 9101", "link_port=9101", "  link_port   =   9101 # mine", ""])
def test_changedConfiguration_hasTheValueOnce_andNothingElseChanges(line: str) -> None:
    text = configs.render(
        rpc_url="http://127.0.0.1:1", deployment="d", host="a.example", link_port=9101, client_port=9102,
        owner="0x" + "11" * 20, settings={"limits.clients": "7"},
    )  # fmt: skip
    assert "\nlink_port = 9101\n" in text
    changed = configs.changed(text.replace("link_port = 9101", line, 1), {"link_port": "9555"})
    assert changed.count("9555") == 1
    found = configs.decode(changed.encode(), "x")
    assert (found.link_port, found.client_port, found.limits.clients) == (9555, 9102, 7)
