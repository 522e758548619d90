"""The user's folder: private, made once, settings that come back as written."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from mixpay.address import parse
from mixpay.client.home import ClientConfig, Home
from mixpay.client.identity import Identity
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.mailbox import mailbox_id_of
from mixpay.sponsor.config import Home as SponsorHome
from mixpay.types import RelayId, Term

CONFIG = ClientConfig("http://127.0.0.1:8545", '/somewhere/ä "quoted".json', "http://127.0.0.1:8850")


def test_config_comesBackAsWritten(tmp_path: Path):
    home = Home(tmp_path / "home")
    home.write_config(CONFIG)
    assert home.config() == CONFIG
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.config_file.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="exists already"):
        home.write_config(CONFIG)


def test_config_keepsCampaignAndInvitation(tmp_path: Path):
    home = Home(tmp_path / "home")
    config = ClientConfig(*("http://a", "b", "http://c"), campaign=5, invitation="line\nbreak")
    home.write_config(config)
    assert home.config() == config


def test_config_keepsWhatIsShownToTheSponsor(tmp_path: Path):
    home = Home(tmp_path / "home")
    config = ClientConfig(
        *("http://a", "b", "http://c"),
        policy="login",
        token_command=["print token", "--now", 'with "quotes"'],
        wallet_key_file="k.json",
        wallet_password_file="w.txt",
        work_seconds=12.5,
    )
    home.write_config(config)
    assert home.config() == config
    for number, field in enumerate(("token", "token_file")):
        home = Home(tmp_path / str(number))
        config = ClientConfig(*("http://a", "b", "http://c"), **{field: 'se"cret'})
        home.write_config(config)
        assert home.config() == config
        assert "cret" not in repr(config)


def test_config_refusesATokenOfTwoSources(tmp_path: Path):
    home = Home(tmp_path / "home")
    home.write_config(ClientConfig("http://a", "b", "http://c", token="t"))
    text = home.config_file.read_text()
    home.config_file.write_text(text.replace('token_file = ""', 'token_file = "f"'))
    with pytest.raises(UserError, match="say once where the token comes from"):
        home.config()


def test_config_saysHowToBegin_whenThereIsNone(tmp_path: Path):
    with pytest.raises(UserError, match="run `mixpay init"):
        Home(tmp_path).config()


@pytest.mark.parametrize("text", ["rpc_url = 5", "nonsense", 'rpc_url = "a"\nwhat = 1', "\xff"])
def test_config_namesTheFile_whenItIsWrong(tmp_path: Path, text: str):
    home = Home(tmp_path)
    home.config_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"config\.toml: "):
        home.config()


def test_ensure_refusesAFolderOthersCanOpen(tmp_path: Path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(UserError, match="chmod 700"):
        Home(folder).ensure()


def test_ensure_saysSo_whenTheFolderCannotBeMade(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot use the folder"):
        Home(tmp_path / "file" / "home").ensure()


def test_identity_isMadeOnce_andNeedsItsPassword(tmp_path: Path):
    home, asked = Home(tmp_path / "home"), []

    def password(new: bool) -> str:
        asked.append(new)
        return "secret"

    assert not home.has_identity
    made = home.identity(password, Kdf.LIGHT)
    assert home.identity(password, Kdf.LIGHT) == made
    assert asked == [True, False]
    with pytest.raises(UserError, match="wrong password"):
        home.identity(lambda _: "guess")
    assert "master" not in repr(made)


def test_addresses_sayNothingInCommonButTheIdentity():
    identity = Identity(b"\7" * 32)
    place = bytes(4), RelayId(1), Term(1)
    one, two = identity.address(*place), identity.address(bytes(4), RelayId(1), Term(2))
    three = identity.address(b"new!", RelayId(1), Term(1))
    assert one.identity == two.identity == three.identity
    assert len({one.mailbox_id, two.mailbox_id, three.mailbox_id}) == 3
    assert one.mailbox_id == mailbox_id_of(identity.fetch_key(*place))
    assert parse(str(one)) == one


async def test_locked_waitsForTheOther_andSaysSo(tmp_path: Path):
    home, order = Home(tmp_path / "home"), []
    async with home.locked("send", lambda: pytest.fail("nobody has it")):
        async with home.locked("receive", lambda: pytest.fail("another lock")):
            pass

        async def other() -> None:
            async with home.locked("send", lambda: order.append("waits")):
                order.append("has it")

        waiting = asyncio.create_task(other())
        while not order:
            await asyncio.sleep(0)
        order.append("leaves")
    await waiting
    assert order == ["waits", "leaves", "has it"]


async def test_locked_canBeInterruptedWhileItWaits(tmp_path: Path):
    home, waits = Home(tmp_path / "home"), asyncio.Event()

    async def other() -> None:
        async with home.locked("send", waits.set):
            pytest.fail("it is taken")

    async with home.locked("send", lambda: None):
        waiting = asyncio.create_task(other())
        await waits.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_ensure_takesTheFolderThatASponsorOrARelayMadeItsHomeIn(tmp_path: Path):
    SponsorHome(tmp_path / "user" / "sponsor").write_template("http://a", tmp_path / "network.json", 0)
    Home(tmp_path / "user").ensure()
