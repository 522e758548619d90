"""Never two signed keys for one epoch: whatever crashed, was lost, or was put back from an older copy."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book import Limits
from mixpay.crypto import x25519
from mixpay.descriptors import Descriptor, sign_descriptor
from mixpay.errors import UserError
from mixpay.snapshot import DirectoryError
from mixpay.types import Epoch, RelayId
from registry_samples import operator_key
from relay.keys.directories import decode_descriptor
from relay.keys.gossip import Heard
from relay.keys.signed_epochs import SignedEpochs
from relay_parts import EPOCH, Chain, Clock, Node

NEXT, LATER = Epoch(EPOCH + 1), Epoch(EPOCH + 2)
EVERYBODY, NOBODY = Heard(5, 5), Heard(5, 0)


class Life:
    """One relay through all its daemons, on one chain. Keys are random, so a second one is another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain = Chain().begin()
        self.clock = Clock()
        self.heard = EVERYBODY
        self.known: dict[Epoch, Descriptor] = {}
        """What others were given."""
        self.node: Node | None = None
        self._dice = random.Random(folder.name)  # noqa: S311 - tests repeat

    async def begin(self) -> Node:
        """Start a daemon, as `Daemon.start` does."""
        self.node = Node(self.chain.view, 1, self.folder, self.clock, Limits(), self._dice.randbytes)
        await self.node.keys.use()
        return await self.look()

    async def look(self) -> Node:
        """What follows from a look at the chain; then others ask for the descriptors."""
        assert self.node is not None
        self.node.heard, self.node.shown = self.heard, list(self.known.values())
        await self.node.keys.use()
        await self.node.keys.make()
        self.others_ask()
        return self.node

    def others_ask(self) -> None:
        """Others ask for all descriptors. No epoch may ever have two."""
        assert self.node is not None
        for epoch in self.node.state.living_epochs():
            found = self.shown(epoch)
            if found is not None:
                assert self.known.setdefault(epoch, found).packet_key == found.packet_key

    def shown(self, epoch: Epoch) -> Descriptor | None:
        """The descriptor that the relay shows."""
        assert self.node is not None
        try:
            return decode_descriptor(self.node.state.directories.own_descriptor(epoch))
        except DirectoryError:
            return None

    def go_to(self, epoch: int) -> None:
        """An epoch begins, its following one is fixed."""
        self.chain.at(epoch, 2_000)
        self.chain.freeze(epoch + 1)

    async def end(self, *, crash: bool = False) -> None:
        if self.node is not None:
            await (self.node.crash() if crash else self.node.close())
            self.node = None

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]

    def lose(self, part: str) -> None:
        """Files whose names hold this are gone."""
        for path in self.files:
            if part in path.name:
                path.unlink()

    def copy(self, part: str = "") -> None:
        """Keep a copy of these files."""
        copies = self.folder / "copies"
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir()
        for path in self.files:
            if part in path.name:
                shutil.copy(path, copies)

    def put_back(self, part: str = "") -> None:
        """These files are as they were when they were copied."""
        self.lose(part)
        for path in (self.folder / "copies").iterdir():
            if part in path.name:
                shutil.copy(path, self.folder)


@pytest_asyncio.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    made = Life(tmp_path)
    yield made
    await made.end()


def notes(node: Node) -> str:
    return "\n".join(node.keys.notes())


# ---------------------------------------------------------------------- beginning


@pytest.mark.parametrize("heard", [EVERYBODY, NOBODY, Heard(0, 0)])
async def test_newRelay_beginsAtOnce_whoeverAnswers(life: Life, heard: Heard) -> None:
    life.heard = heard
    node = await life.begin()
    assert node.asked == [EPOCH]
    assert life.shown(EPOCH) is not None
    assert notes(node) == ""


async def test_everyEpoch_isAskedAboutOnce_andSignedOnce(life: Life) -> None:
    node = await life.begin()
    for epoch in (NEXT, LATER):
        life.go_to(epoch - 1)
        for _ in range(3):
            await life.look()
    assert node.asked == [EPOCH, NEXT, LATER]
    assert node.record.newest == LATER
    assert {EPOCH, NEXT, LATER} == set(life.known)


async def test_epochThatIsOver_getsNoKeyAnyMore(life: Life) -> None:
    """One who joins within the grace for the last epoch's packets has none of them."""
    life.chain.freeze(NEXT)
    life.chain.at(NEXT, 1)
    node = await life.begin()
    assert node.state.living_epochs() == [EPOCH, NEXT]
    assert sorted(node.store.packet_keys()) == [NEXT]


# ---------------------------------------------------------------------- losses


async def test_databaseLost_recordKept_noSecondKey_andTheNextEpochIsServed(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    life.go_to(EPOCH)
    await life.begin()
    await life.end()
    life.lose("sqlite")
    life.heard = NOBODY
    node = await life.begin()
    assert node.store.packet_keys() == {} and node.asked == []
    assert notes(node).count("its packet key was signed before and is lost") == 2
    life.go_to(NEXT)
    await life.look()
    assert node.store.packet_keys() == {}  # the record may be an old copy too, and nobody answers
    life.heard = EVERYBODY
    life.clock.now += 1
    await life.look()
    assert sorted(node.store.packet_keys()) == [LATER]
    assert life.shown(NEXT) is None and life.shown(LATER) is not None
    life.go_to(LATER)
    assert notes(await life.look()) == ""


async def test_olderDatabasePutBack_recordKept_noSecondKey(life: Life) -> None:
    life.go_to(EPOCH)
    await life.begin()
    await life.end()
    life.copy("sqlite")
    await life.begin()
    life.go_to(NEXT)
    await life.look()
    await life.end()
    life.put_back("sqlite")
    life.heard = NOBODY
    node = await life.begin()
    assert sorted(node.store.packet_keys()) == [NEXT]  # the same as before
    assert life.shown(LATER) is None


async def test_diskLost_othersShowWhatWasSigned(life: Life) -> None:
    life.go_to(EPOCH)
    await life.begin()
    await life.end()
    life.lose("relay1")
    node = await life.begin()
    assert node.store.packet_keys() == {}
    assert "signed before and is lost" in notes(node)
    assert SignedEpochs(node.record._path, node.view.registry_domain).newest == NEXT  # not to be asked again
    life.go_to(NEXT)
    await life.look()
    assert life.shown(LATER) is not None


async def test_whereThereIsAGap_manyAreAsked(life: Life) -> None:
    """If the disk was lost soon after the signature, few know it; and whoever is not asked could show it."""
    life.go_to(EPOCH)
    node = await life.begin()
    assert (node.asked, node.most_asked) == ([EPOCH, NEXT], [5, 5])
    await life.end()
    life.lose("relay1")
    life.go_to(NEXT)
    node = await life.begin()
    assert (node.asked, node.most_asked) == ([NEXT, LATER], [64, 64])
    assert sorted(node.store.packet_keys()) == [LATER]


async def test_diskLost_andTooFewAnswer_nothingIsSigned(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    life.go_to(EPOCH)
    await life.begin()
    life.go_to(NEXT)
    await life.end()
    life.lose("relay1")
    known, life.known = life.known, {}  # by the two who answer
    life.heard = Heard(5, 2)
    node = await life.begin()
    pauses = []
    for _ in range(9):
        asked, waited = len(node.asked), 0.0
        while len(node.asked) == asked:
            waited += 0.5
            life.clock.now += 0.5
            await life.look()
        pauses.append(waited)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert set(node.asked) == {NEXT}
    assert node.store.packet_keys() == {} and node.record.newest is None
    assert "waits until 3 have answered" in notes(node)
    assert len([record for record in caplog.records if "has no key of" in record.message]) == 1

    life.known, life.heard = known, Heard(5, 3)
    life.clock.now += 60
    await life.look()
    assert sorted(node.store.packet_keys()) == [LATER]  # NEXT was known to others, LATER to nobody


async def test_epochThatAnotherDaemonHasSignedFor_isForgone(life: Life) -> None:
    """Two releases of the network may name one registry; a daemon for each runs in one process."""
    node = await life.begin()
    SignedEpochs(node.record._path, node.view.registry_domain).add(NEXT)
    life.go_to(EPOCH)
    await life.look()
    assert life.shown(NEXT) is None and sorted(node.store.packet_keys()) == [EPOCH]
    life.go_to(NEXT)
    await life.look()
    assert life.shown(LATER) is not None


async def test_longOutage_isNoLoss(life: Life) -> None:
    """Nobody knows a key of the epochs in which the daemon was down."""
    await life.begin()
    await life.end()
    for epoch in range(NEXT, NEXT + 4):
        life.go_to(epoch)
    node = await life.begin()
    assert sorted(node.store.packet_keys()) == [NEXT + 3, NEXT + 4]
    assert notes(node) == ""


async def test_smallNetwork_whereEverybodyAnswers_isEnough(life: Life) -> None:
    life.go_to(EPOCH)
    life.go_to(NEXT)
    life.heard = Heard(2, 2)
    node = await life.begin()
    assert sorted(node.store.packet_keys()) == [NEXT, LATER]


async def test_keyShownWhileOursIsStored_isTheOnlyOne(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who was asked knew it, but somebody else did."""
    node = Node(life.chain.view, 1, life.folder, life.clock, Limits(), bytes)
    life.node = node
    public = x25519.public_key(b"\7" * 32)
    other = sign_descriptor(operator_key(1), RelayId(1), EPOCH, public, node.view.registry_domain)
    written = node.store.written

    def meanwhile(ops: object) -> object:
        node.state.directories.learn(other)
        return written(ops)  # type: ignore[arg-type]

    monkeypatch.setattr(node.store, "written", meanwhile)
    await node.keys.make()
    assert node.state.keys.get(EPOCH) is None and life.shown(EPOCH) is None
    assert node.store.packet_keys() == {}


# ---------------------------------------------------------------------- crashes


async def test_crashBeforeTheKeyIsStored_nothingWasSigned(life: Life) -> None:
    life.node = node = Node(life.chain.view, 1, life.folder, life.clock, Limits(), bytes)
    secret = node.state.keys.draw(EPOCH)
    assert secret is not None
    await node.keys.use()
    assert life.shown(EPOCH) is None and node.record.newest is None
    await life.end(crash=True)
    node = await life.begin()
    assert life.shown(EPOCH) is not None and node.store.packet_keys()[EPOCH] != secret


async def test_recordThatCannotBeWritten_nothingIsSigned_laterTheSameKeyIs(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash, or the full disk, between the key's row and the record's line."""

    def full(self: SignedEpochs, epoch: Epoch) -> None:
        raise UserError("cannot write")

    with monkeypatch.context() as broken, pytest.raises(UserError):
        broken.setattr(SignedEpochs, "add", full)
        life.node = Node(life.chain.view, 1, life.folder, life.clock, Limits(), lambda size: b"\5" * size)
        await life.node.keys.make()
    assert life.shown(EPOCH) is None
    await life.end(crash=True)
    node = await life.begin()
    assert node.store.packet_keys() == {EPOCH: b"\5" * 32}
    shown = life.shown(EPOCH)
    assert shown is not None and shown.packet_key == x25519.public_key(b"\5" * 32)


async def test_crashBeforeItIsShown_theSameKeyIsShown(life: Life) -> None:
    node = await life.begin()
    key = life.known[EPOCH].packet_key
    await life.end(crash=True)
    life.known.clear()
    node = await life.begin()
    assert life.known[EPOCH].packet_key == key
    assert node.asked == []


@pytest.mark.parametrize("seed", range(6))
async def test_whateverHappens_noEpochHasTwoKeys(tmp_path: Path, seed: int) -> None:
    """Others hear every word, and compare. Nobody is in reach when the database alone was lost."""
    life = Life(tmp_path)
    dice = random.Random(seed)  # noqa: S311 - tests repeat
    epoch = EPOCH
    await life.begin()
    life.copy()
    for _ in range(30):
        what = dice.choice(["look", "epoch", "end", "crash", "lose", "older", "disk", "older disk", "copy"])
        reachable = True
        if what == "look":
            await life.look()
            continue
        if what == "epoch":
            life.go_to(epoch := Epoch(epoch + 1))
            if dice.random() < 0.5:
                await life.look()
            continue
        await life.end(crash=what == "crash")
        if what == "copy":
            life.copy()
        elif what == "lose":
            life.lose("sqlite")
            reachable = False
        elif what == "older":
            life.put_back("sqlite")
            reachable = False
        elif what == "disk":
            life.lose("relay1")
        elif what == "older disk":
            life.put_back()
        life.heard = EVERYBODY if reachable else NOBODY
        await life.begin()
        life.heard = EVERYBODY
        await life.look()
    await life.end()
    assert len(life.known) > 1
