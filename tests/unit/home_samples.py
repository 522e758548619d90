"""A relay's folder for tests: real settings, keys and databases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mixpay import deployment as deployments
from mixpay import eip712
from mixpay.book import rows as book
from mixpay.book.events import Store as StoreRow
from mixpay.keystore import Kdf
from mixpay.types import Account, Amount, Epoch, RelayId, Value
from relay import config
from relay.home import initialise
from relay.keys.signed_epochs import SignedEpochs
from relay.store import Changes, IssuedTickets, RelayStore, StoreOp, key_op, setting_op
from relay_parts import DEPLOYMENT

PASSWORD = "correct horse"
REGISTRY = eip712.registry_domain(DEPLOYMENT.chain_id, DEPLOYMENT.registry)
SECRET, TAG = b"packet key that must be destroyed", b"a replay tag 16b"
ORIGIN = b"came from Alice"


@dataclass(frozen=True)
class Sample:
    """A folder, and whose relay it is."""

    folder: Path
    operator: Account

    @property
    def database(self) -> Path:
        return self.folder / "relay.sqlite"

    @property
    def record(self) -> SignedEpochs:
        return SignedEpochs(self.folder / "keys" / "signed-epochs", REGISTRY)

    def files(self) -> dict[str, bytes]:
        """Everything in the folder but locks, which say only who was here."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


def make_home(folder: Path, network: Path | None = None) -> Sample:
    """What `mixpay-relay init` makes."""
    network = network or folder.parent / "network.json"
    deployments.save(network, DEPLOYMENT)
    text = config.render(
        rpc_url="http://127.0.0.1:9",
        deployment=str(network),
        host="127.0.0.1",
        link_port=7001,
        client_port=7002,
        owner="0x" + "11" * 20,
        issuers={},
        settings={},
    )
    return Sample(folder, initialise(folder, text, PASSWORD, Kdf.LIGHT).operator)


def some_rows() -> list[StoreOp]:
    """Of every kind that matters: what a backup keeps, and what it leaves out."""
    ticket = book.IssuedTicket(7, bytes(20), bytes(65), Value(1), Amount(1), ORIGIN)
    placed = book.PlacedTicket(1, 0, 3, bytes(20), Value(1), bytes(32))
    changes = Changes(IssuedTickets())
    changes.book(1, RelayId(5), StoreRow(ticket))
    changes.book(1, RelayId(5), StoreRow(placed))
    changes.tag(Epoch(4), TAG)
    return [*changes.ops(), key_op(Epoch(4), SECRET), setting_op("kept", b"yes")]


async def fill(database: Path, *more: StoreOp) -> None:
    """What a daemon leaves behind that was stopped."""
    store = RelayStore(database)
    await store.written([*some_rows(), *more])
    await store.close()


def damage(database: Path) -> None:
    """Overwrite the heads of its pages, but for the first."""
    content = bytearray(database.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    database.write_bytes(content)
