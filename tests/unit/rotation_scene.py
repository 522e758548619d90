"""A registered relay with a folder as a daemon leaves it, its operator key to be changed; a real chain."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain_world import ETHER, User, World
from mixpay import deployment as deployments
from mixpay import eip712
from mixpay.accounts import show_account
from mixpay.chain.sender import Sender
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, Epoch
from relay import config as configs
from relay.home import initialise, operator_account
from relay.keys.signed_epochs import SignedEpochs
from relay.operator.registration import Owner
from relay.rotation.rotate import Rotation

PASSWORD = "correct horse"
CAPITAL, GAS = Amount(2 * TOKEN), ETHER // 10
OLD_LEDGER = Amount(3 * TOKEN)
PORTS = (7003, 7004)
BOOK, JOURNAL = b"SQLite format 3\0 the old relay's books", b"what is not in the books yet"


def quiet(_: str) -> None:
    """Takes lines for people."""


@dataclass
class Scene:
    """The folder, the chain, the owner, the old operator's account."""

    folder: Path
    world: World
    owner: User
    old: Account
    record: bytes

    def rotation(self, say: Callable[[str], None] = quiet) -> Rotation:
        return Rotation(self.folder, self.owner.key, PASSWORD, say, Kdf.LIGHT)

    def begin(self) -> None:
        self.rotation().begin(PORTS, CAPITAL, GAS)

    @property
    def retired(self) -> Path:
        return self.folder / "retired" / f"0x{self.old.hex()}"

    @contextmanager
    def again(self) -> Iterator[Scene]:
        """The same with a copy of the folder, on a chain that goes back afterwards."""
        rpc = self.world.rpc
        place = Path(tempfile.mkdtemp(dir=self.folder.parent)) / "relay"
        shutil.copytree(self.folder, place)
        moment = rpc.request("evm_snapshot")
        try:
            yield replace(self, folder=place)
        finally:
            assert rpc.request("evm_revert", moment)

    def tokens(self) -> int:
        return self.world.contracts.token.balance_of(self.owner.account)

    def ledger(self, account: Account) -> int:
        return self.world.contracts.channels.balance_of(account)


def make_scene(world: World, folder: Path, stakes: int = 2) -> Scene:
    """A relay of an owner who has tokens for so many stakes, that one included, and for capital."""
    owner = world.user(tokens=stakes * DEMO.stake // TOKEN + 10)
    folder.mkdir()
    deployments.save(folder / "network.json", world.deployment)
    text = configs.render(
        rpc_url=world.rpc.shown,
        deployment="network.json",
        host="127.0.0.1",
        listen="127.0.0.1",
        link_port=7001,
        client_port=7002,
        owner=show_account(owner.account),
        settings={"api_port": "7009", "treasury.float": "5"},
    )
    initialise(folder, text, PASSWORD, Kdf.LIGHT)
    Owner(folder, owner.key, quiet).register(PASSWORD, OLD_LEDGER, GAS)
    (folder / "relay.sqlite").write_bytes(BOOK)
    (folder / "relay.sqlite-wal").write_bytes(JOURNAL)
    (folder / "api.json").write_text("of a daemon that was killed")
    record = folder / "keys" / "signed-epochs"
    domain = eip712.registry_domain(world.deployment.chain_id, world.deployment.registry)
    SignedEpochs(record, domain).add(Epoch(5))
    return Scene(folder, world, owner, operator_account(folder), record.read_bytes())


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do work in a process that is killed before its n-th change of disk or chain, with nothing tidied up.

    A transaction counts twice: it may be in the chain when its sender dies. False if it ended before.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            _die_at(number)
            work()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    assert code in (0, 9), "it failed by itself"
    return code == 9


def _die_at(number: int) -> None:
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(9)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            count()
            return function(*arguments, **options)

        return act

    for name in ("replace", "link", "unlink", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    push = Sender._push

    def pushed(self: Sender, raw: bytes) -> bool:
        count()
        sent = push(self, raw)
        count()
        return sent

    Sender._push = pushed  # type: ignore[method-assign]
