"""`mixpay-relay`: every command as an operator types it, on a real chain where it needs one."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from mixpay import deployment as deployments
from mixpay import eip712, keystore, tls
from mixpay.accounts import show_account
from mixpay.amounts import moment, shown
from mixpay.chain.views import NOBODY
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.registry_tree import relay_leaf
from mixpay.types import Account, RelayId
from relay import cli
from relay.config import load
from relay.home import KEYS, LINK_KEY, operator_account

if TYPE_CHECKING:
    from chain_world import User, World

PASSWORD = "correct horse"


@dataclass
class Shell:
    """Types commands; knows where things are."""

    home: Path
    network: Path
    url: str
    owner: Account
    key_file: Path
    capsys: pytest.CaptureFixture[str]

    def type(self, *words: object) -> tuple[int, str, str]:
        """Run a command: exit status, stdout, stderr."""
        self.capsys.readouterr()
        status = cli.main([str(word) for word in words])
        out, err = self.capsys.readouterr()
        return status, out, err

    def init(self, *more: object) -> tuple[int, str, str]:
        words = ("--home", self.home, "--rpc", self.url, "--deployment", self.network)
        place = ("--host", "127.0.0.1", "--owner", show_account(self.owner), "--light-keys")
        return self.type("init", *words, *place, *more)

    def owner_types(self, command: str, *more: object) -> tuple[int, str, str]:
        return self.type(command, "--home", self.home, "--owner-key-file", self.key_file, *more)

    def answer(self, command: str, *more: object) -> dict[str, Any]:
        """The JSON that an owner's command prints."""
        status, out, err = self.owner_types(command, "--json", *more)
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def leaf(self, answer: dict[str, Any], endpoint: bytes) -> bytes:
        """What the registry's tree must hold of the relay that `register` told of."""
        link_key = tls.link_key_of(keystore.load(self.home / KEYS, LINK_KEY, PASSWORD))
        return relay_leaf(answer["relay"], bytes.fromhex(answer["operator"][2:]), link_key, endpoint)

    def complaint(self, *words: object) -> str:
        """The one line on stderr of a command that the operator has to mend."""
        status, out, err = self.type(*words)
        assert (status, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        return err


@pytest.fixture
def opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[World, User], Shell]:
    """A shell for an owner, before `init`."""
    monkeypatch.setenv("MIXPAY_PASSWORD", PASSWORD)
    monkeypatch.delenv("MIXPAY_OWNER_PASSWORD", raising=False)

    def make(world: World, owner: User) -> Shell:
        network, key_file = tmp_path / "network.json", tmp_path / "owner.hex"
        deployments.save(network, world.deployment)
        key_file.write_text(owner.key.hex())
        key_file.chmod(0o600)
        return Shell(tmp_path / "relay", network, world.rpc.shown, owner.account, key_file, capsys)

    return make


@pytest.fixture
def owner(world: World) -> User:
    """An owner with ether, and tokens for a stake and some capital."""
    return world.user(tokens=DEMO.stake // TOKEN + 50)


@pytest.fixture
def shell(world: World, owner: User, opened: Callable[[World, User], Shell]) -> Shell:
    """A shell after `init`."""
    made = opened(world, owner)
    assert made.init()[0] == 0
    return made


# ------------------------------------------------------------------ help


@pytest.mark.parametrize(
    "command",
    [
        *("init", "register", "run", "status", "claim", "drain", "backup", "restore"),
        *("rotate-key", "leave", "withdraw"),
    ],
)
def test_every_help_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(cli.cli, [command, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"mixpay-relay {command}" in " ".join(result.output.split())


@pytest.mark.parametrize("words", [["--help"], ["register", "--help"]])
def test_help_shows_a_capital_that_is_not_swept_at_once(words: list[str]) -> None:
    assert "--capital 0.1 --gas 0.5" in " ".join(CliRunner().invoke(cli.cli, words).output.split())


def test_help_loads_no_chain_library() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from relay import cli; cli.main(['--help']); cli.main(['register', '--help']);"
        "print([m for m in ('web3', 'eth_account', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Commands:" in done.stdout


def test_mistyped_commands_get_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["rgister"], ["init"], ["status", "--jsn"], ["claim", "--timeout", "soon"]):
        assert cli.main(words) == 2
        err = capsys.readouterr().err
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert "--help" in err


# ------------------------------------------------------------------ init


def test_init_makes_a_commented_configuration_and_encrypted_keys(
    world: World, owner: User, opened: Callable[[World, User], Shell]
) -> None:
    shell = opened(world, owner)
    more = ("--issuer", "1=http://127.0.0.1:1", "--set", "treasury.float=5", "--set", "api_port=0")
    status, out, err = shell.init(*more, "--link-port", "7001", "--client-port", "7002", "--json")
    assert status == 0
    assert "next: mixpay-relay register" in err
    config = load(shell.home / "relay.toml")
    assert (config.endpoint, config.issuer_urls) == ("127.0.0.1:7001:7002", {1: "http://127.0.0.1:1"})
    assert config.treasury.float_ == 5
    assert Path(config.deployment).is_absolute()
    operator = keystore.load(shell.home / "keys", "operator", PASSWORD)
    assert json.loads(out)["operator"] == show_account(Account(eip712.account_of(operator)))
    assert keystore.names(shell.home / "keys") == ["link", "operator"]
    for path in (shell.home / "relay.toml", shell.home / "keys" / "operator.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_init_replaces_nothing_and_goes_on_after_an_interruption(shell: Shell) -> None:
    status, _, err = shell.init()
    assert status == 2
    assert "is there already" in err
    keys = (shell.home / "keys" / "operator.json").read_bytes()
    (shell.home / "relay.toml").unlink()
    (shell.home / "keys" / "link.json").unlink()
    assert shell.init()[0] == 0
    assert (shell.home / "keys" / "operator.json").read_bytes() == keys
    assert keystore.load(shell.home / "keys", "link", PASSWORD)


def test_init_names_a_mistake_and_writes_nothing(
    world: World, owner: User, opened: Callable[[World, User], Shell], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = opened(world, owner)
    for words, complaint in (
        (("--issuer", "one=http://a"), "the number of a campaign"),
        (("--set", "treasury.float"), "it reads NAME=VALUE"),
        (("--set", "treasury.flaot=1"), "no setting 'treasury.flaot'"),
        (("--link-port", "9102"), "different ports"),
        (("--deployment", shell.home), "deployment"),
    ):
        status, _, err = shell.init(*words)
        assert status == 2
        assert complaint in err
        assert not shell.home.exists()
    monkeypatch.setenv("MIXPAY_PASSWORD", "")
    assert "no password" in shell.init()[2]
    assert not shell.home.exists()


# ------------------------------------------------------------------ register


def test_register_stakes_equips_and_can_be_repeated(shell: Shell, world: World, owner: User) -> None:
    contracts = world.contracts
    first = shell.answer("register", "--capital", "20", "--gas", "0.5")
    assert (first["new"], first["updated"], first["endpoint"]) == (True, False, "127.0.0.1:9101:9102")
    operator = Account(bytes.fromhex(first["operator"][2:]))
    registered = contracts.registry.relay(RelayId(first["relay"]))
    assert (registered.owner, registered.operator) == (owner.account, operator)
    assert registered.leaf == shell.leaf(first, b"127.0.0.1:9101:9102")
    assert contracts.channels.balance_of(operator) == 20 * TOKEN
    assert world.rpc.balance(operator) == TOKEN // 2
    sent = world.rpc.nonce(owner.account)
    status, out, _ = shell.owner_types("register", "--capital", "20", "--gas", "0.5")
    assert (status, out) == (0, f"relay {first['relay']} was registered already: 127.0.0.1:9101:9102\n")
    assert world.rpc.nonce(owner.account) == sent
    shell.answer("register", "--capital", "21")
    assert contracts.channels.balance_of(operator) == 21 * TOKEN
    assert contracts.token.balance_of(owner.account) == 29 * TOKEN


def test_register_brings_a_changed_endpoint_to_the_chain(shell: Shell, world: World) -> None:
    first = shell.answer("register")
    path = shell.home / "relay.toml"
    path.write_text(path.read_text().replace("link_port = 9101", "link_port = 9111"))
    again = shell.answer("register")
    assert (again["relay"], again["new"], again["updated"]) == (first["relay"], False, True)
    found = world.contracts.registry.relay(RelayId(first["relay"]))
    assert found.leaf == shell.leaf(again, b"127.0.0.1:9111:9102")


def test_register_brings_a_changed_link_key_to_the_chain(shell: Shell, world: World) -> None:
    shell.answer("register")
    (shell.home / KEYS / f"{LINK_KEY}.json").unlink()
    keystore.put(shell.home / KEYS, LINK_KEY, b"\1" * 32, PASSWORD, kdf=Kdf.LIGHT)
    again = shell.answer("register")
    assert again["updated"]
    found = world.contracts.registry.relay(RelayId(again["relay"]))
    assert found.leaf == shell.leaf(again, b"127.0.0.1:9101:9102")
    assert not shell.answer("register")["updated"]


def test_register_goes_on_after_it_was_cut_off(shell: Shell, world: World, owner: User) -> None:
    owner.send(world.contracts.channels.deposit(3 * TOKEN))  # deposited, but not moved yet
    operator = Account(bytes.fromhex(shell.answer("register", "--capital", "5")["operator"][2:]))
    assert world.contracts.channels.balance_of(operator) == 5 * TOKEN
    assert world.contracts.channels.balance_of(owner.account) == 0


def test_register_says_that_a_large_capital_is_swept(shell: Shell) -> None:
    status, _, err = shell.owner_types("register", "--capital", "0.3")
    assert status == 0
    assert "pays out to the owner what is above 0.2 tokens" in err


def test_register_checks_before_it_sends(
    world: World, opened: Callable[[World, User], Shell], tmp_path: Path
) -> None:
    poor = world.user(tokens=1)
    shell = opened(world, poor)
    shell.init()
    register = ("register", "--home", shell.home, "--owner-key-file", shell.key_file)
    sent = world.rpc.nonce(poor.account)
    assert "has 1 tokens and needs 100 to stake and 3 capital" in shell.complaint(*register, "--capital", "3")
    assert "is not an amount" in shell.complaint(*register, "--capital", "much")
    rich = world.user(tokens=200)
    shell.key_file.write_text(rich.key.hex())
    assert f"the key is of {show_account(rich.account)}" in shell.complaint(*register)
    shell.key_file.write_text("7")
    assert "neither a key file nor 64 hexadecimal digits" in shell.complaint(*register)
    shell.key_file.chmod(0o644)
    assert "chmod 600" in shell.complaint(*register)
    missing = shell.complaint(*register[:-1], tmp_path / "none")
    assert f"cannot read the owner's key in {tmp_path / 'none'}: No such file or directory" in missing
    assert world.rpc.nonce(poor.account) == sent


def test_register_needs_ether(shell: Shell, world: World, owner: User) -> None:
    register = ("register", "--home", shell.home, "--owner-key-file", shell.key_file)
    assert "needs 2 for the operator and some for gas" in shell.complaint(*register, "--gas", "2")
    world.chain.fund(owner.account, 0)
    assert "has 0 ether and needs some for gas" in shell.complaint(*register)


def test_a_wrong_password_and_a_wrong_chain_are_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    register = ("register", "--home", shell.home, "--owner-key-file", shell.key_file)
    monkeypatch.setenv("MIXPAY_PASSWORD", "wrong")
    assert "wrong password for the key 'operator'" in shell.complaint(*register)
    content = json.loads(shell.network.read_text())
    shell.network.write_text(json.dumps(content | {"chain_id": 1}))
    assert "the deployment file is for chain 1" in shell.complaint(*register)
    path = shell.home / "relay.toml"
    path.write_text(path.read_text().replace(world.rpc.shown, "http://127.0.0.1:9"))
    status, _, err = shell.type(*register)
    assert status == 3
    assert "cannot connect" in err


def test_the_owners_key_may_be_a_key_file(
    shell: Shell, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystore.put(tmp_path / "wallet", "owner", owner.key, "another", kdf=Kdf.LIGHT)
    shell.key_file = tmp_path / "wallet" / "owner.json"
    register = ("register", "--home", shell.home, "--owner-key-file", shell.key_file)
    assert "no password" in shell.complaint(*register)
    monkeypatch.setenv("MIXPAY_OWNER_PASSWORD", "wrong")
    assert "wrong password for the owner's key" in shell.complaint(*register)
    monkeypatch.setenv("MIXPAY_OWNER_PASSWORD", "another")
    assert shell.answer("register")["new"]


# ------------------------------------------------------------------ leave and withdraw


def test_leave_and_withdraw_tell_the_date_and_pay_everything_out(
    shell: Shell, world: World, owner: User
) -> None:
    assert "was never registered" in shell.owner_types("leave", "--yes")[2]
    shell.answer("register", "--capital", "20", "--gas", "0.5")
    assert "run `mixpay-relay leave` first" in shell.owner_types("withdraw")[2]
    left = shell.answer("leave", "--yes")
    assert left["new"]
    due = left["withdrawable_at"]
    status, out, _ = shell.owner_types("leave", "--yes")
    assert (status, out.startswith(f"relay {left['relay']} had left already")) == (0, True)
    assert moment(due) in out
    status, _, err = shell.owner_types("withdraw")
    assert status == 2
    assert f"is bound until {moment(due)}" in err
    early = shell.answer("withdraw", "--ledger")
    assert (early["ledger"], early["stake"], early["withdrawable_at"]) == (str(20 * TOKEN), "0", due)
    assert "has left or was evicted, and a key serves one relay only" in shell.owner_types("register")[2]
    world.chain.advance_time(to=due)
    paid = shell.answer("withdraw", "--ledger")
    assert (paid["stake"], paid["ledger"]) == (str(DEMO.stake), "0")
    assert world.contracts.token.balance_of(owner.account) == DEMO.stake + 50 * TOKEN
    assert "nothing is left of the stake" in shell.owner_types("withdraw")[1]
    assert "its stake was paid out" in shell.owner_types("leave", "--yes")[2]


def test_withdraw_to_another_account(shell: Shell, world: World) -> None:
    shell.answer("register")
    world.chain.advance_time(to=shell.answer("leave", "--yes")["withdrawable_at"])
    to = world.user().account
    status, out, _ = shell.owner_types("withdraw", "--to", show_account(to))
    assert (status, out) == (0, f"{shown(DEMO.stake)} tokens of stake paid to {show_account(to)}\n")
    assert world.contracts.token.balance_of(to) == DEMO.stake
    assert "--to: 'x' is no account" in shell.owner_types("withdraw", "--to", "x")[2]


def test_withdraw_pays_what_the_court_has_left(shell: Shell, world: World, owner: User) -> None:
    relay = RelayId(shell.answer("register")["relay"])
    world.court_says("slash", relay, 7 * TOKEN)
    world.court_says("condemn", relay, world.user().account)
    registry = world.contracts.registry
    assert registry.stake_left(relay) == DEMO.stake - 7 * TOKEN
    evicted = shell.answer("leave", "--yes")
    assert not evicted["new"]
    assert "has left or was evicted" in shell.owner_types("register")[2]
    world.chain.advance_time(to=evicted["withdrawable_at"])
    before = world.contracts.token.balance_of(owner.account)
    rest = DEMO.stake - 7 * TOKEN - DEMO.penalty
    assert shell.answer("withdraw")["stake"] == str(rest)
    assert world.contracts.token.balance_of(owner.account) == before + rest
    assert registry.stake_left(relay) == DEMO.penalty


def test_withdraw_says_that_nothing_is_left(shell: Shell, world: World) -> None:
    """A penalty as large as what judgements leave of a stake."""
    relay = RelayId(shell.answer("register")["relay"])
    world.court_says("slash", relay, DEMO.stake)
    world.court_says("condemn", relay, world.user().account)
    world.chain.advance_time(to=shell.answer("leave", "--yes")["withdrawable_at"])
    status, out, _ = shell.owner_types("withdraw")
    assert (status, out) == (
        0,
        "nothing is left of the stake: it was paid out, or judgements and a penalty took it\n",
    )
    assert world.contracts.registry.relay(relay).owner == NOBODY


def test_nobody_elses_relay_leaves(
    shell: Shell, world: World, owner: User, opened: Callable[[World, User], Shell]
) -> None:
    shell.answer("register")
    thief = world.user()
    path = shell.home / "relay.toml"
    path.write_text(path.read_text().replace(show_account(owner.account), show_account(thief.account)))
    shell.key_file.write_text(thief.key.hex())
    for command in (("leave", "--yes"), ("withdraw",)):
        status, _, err = shell.owner_types(*command)
        assert status == 2
        assert f"is owned by {show_account(owner.account)}" in err


def test_leave_says_before_what_will_happen_and_when(shell: Shell, world: World) -> None:
    shell.answer("register", "--capital", "20", "--gas", "0.5")
    status, out, err = shell.owner_types("leave", "--dry-run")
    assert (status, out) == (0, "nothing was done\n")
    for words in (
        "keep the daemon running",
        "20 tokens in the ledger, paid to the owner",
        "100 tokens of stake",
    ):
        assert words in err
    assert "the daemon does not run here" in err
    assert "nobody is there to be asked: say --yes" in shell.owner_types("leave")[2]
    relay = world.contracts.registry.relay_of(operator_account(shell.home))
    assert not world.contracts.registry.relay(relay).withdrawable_at, "nothing was done"
    told = shell.answer("leave", "--dry-run")
    left = shell.answer("leave", "--yes")
    plan, start = left["plan"], world.schedule.start
    assert plan["serves_until"] == start(plan["last_epoch"] + 1)
    assert plan["grace_until"] == plan["serves_until"] + DEMO.key_grace
    assert plan["channels_back"] == plan["grace_until"] + DEMO.notice
    assert plan["stake_back"] == left["withdrawable_at"]
    assert left["capital"] == {"stake": str(DEMO.stake), "ledger": str(20 * TOKEN), "channels": None}
    assert told["plan"]["serves_until"] in (plan["serves_until"], start(plan["last_epoch"]))


def test_rotate_key_needs_ports_then_goes_through_and_can_be_typed_again(
    world: World, opened: Callable[[World, User], Shell]
) -> None:
    shell = opened(world, world.user(tokens=2 * DEMO.stake // TOKEN + 50))
    assert shell.init()[0] == 0
    first = shell.answer("register", "--capital", "1", "--gas", "0.1")
    assert "name the new relay's ports" in shell.owner_types("rotate-key", "--yes")[2]
    ports = ("--link-port", "9103", "--client-port", "9104", "--light-keys", "--capital", "1")
    assert "nobody is there to be asked" in shell.owner_types("rotate-key", *ports)[2]
    assert not (shell.home / "rotation.json").exists()
    status, out, err = shell.owner_types("rotate-key", *ports, "--yes")
    assert status == 0, err
    assert "a new relay is registered with a new key" in err and "now start the daemon" in err
    new = show_account(operator_account(shell.home))
    assert out.lower().startswith(
        f"operator {new.lower()}, instead of {first['operator'].lower()}: winding up"
    )
    again = shell.answer("rotate-key")
    assert again["stage"] == "winding up" and "bound until" in again["waits"][0]
    assert load(shell.home / "relay.toml").endpoint == "127.0.0.1:9103:9104"
    status, _, err = shell.type("backup", "--home", shell.home, shell.home.parent / "copy")
    assert status == 0, err


# ------------------------------------------------------------------ the daemon's commands


def test_run_needs_a_configuration_a_password_and_a_registered_relay(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "run `mixpay-relay init` first" in shell.complaint("run", "--home", tmp_path / "none")
    assert "`mixpay-relay register` first" in shell.complaint("run", "--home", shell.home)
    monkeypatch.setenv("MIXPAY_PASSWORD", "wrong")
    assert "wrong password" in shell.complaint("run", "--home", shell.home)


def test_status_and_claim_need_a_daemon(shell: Shell) -> None:
    for command in ("status", "claim"):
        complaint = shell.complaint(command, "--home", shell.home)
        assert "start it with `mixpay-relay run`" in complaint
