"""The steps of a rotation. Each may be repeated, and what was done already is not done again. Blocks.

    1  a plan on disk            6  the old files go into `retired/`, the successor's take their places
    2  the successor's folder    7  `mixpay-relay run` runs both; the old one winds up by itself
    3  it is registered          8  the old stake is paid out, once unbonding is over
    4  the old relay leaves      9  once the old one has settled all, what its account has left is paid out
    5  no daemon may run

In this order no epoch is without a relay: one that registers serves from the second epoch after on, one that
leaves serves to the end of the next. And never has one relay two keys, or one key two relays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixpay import keystore
from mixpay.accounts import show_account
from mixpay.amounts import moment, shown
from mixpay.chain.sender import Sender
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.types import Account, Amount
from relay.home import KEYS, OPERATOR_KEY, operator_account
from relay.home_lock import HomeLock
from relay.operator.departure import plan_lines
from relay.operator.registration import Owner
from relay.rotation import folders
from relay.rotation.plan import PLAN, SETTLED, SUCCESSOR, Plan, read, retired_folder, write

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """Where the rotation stands: the accounts, and what is still to come, if anything is."""

    old: str
    new: str
    stage: str
    waits: list[str]


class Rotation:
    """A relay's rotation. `owner_key`, 32 bytes; `password` of the key store, for old and new keys."""

    def __init__(
        self, folder: Path, owner_key: bytes, password: str, say: Progress, kdf: Kdf = Kdf.STANDARD
    ) -> None:
        self._folder, self._key, self._password = folder, owner_key, password
        self._say, self._kdf = say, kdf

    def _owner(self, folder: Path) -> Owner:
        return Owner(folder, self._key, self._say)

    # ------------------------------------------------------------------ beginning

    def outlook(self) -> list[str]:
        """What will happen, and when the old relay's capital is back. Raises UserError, ChainError."""
        found = self._owner(self._folder).outlook()
        return [
            "a new relay is registered with a new key and a stake of its own, and serves from the epoch on "
            f"that follows epoch {found.plan.last_epoch}",
            f"relay {found.relay}, of the old key, leaves:",
            *(f"  {line}" for line in plan_lines(found.plan, found.capital)),
        ]

    def begin(self, ports: tuple[int, int], capital: Amount, gas: int) -> Plan:
        """Check everything that can be checked before, and put the plan on disk.

        `capital`, `gas`: see `Owner.register`. Raises UserError, if a daemon runs too; ChainError.
        """
        with HomeLock(self._folder):
            return self._begin(ports, capital, gas)

    def _begin(self, ports: tuple[int, int], capital: Amount, gas: int) -> Plan:
        if read(self._folder) is not None:
            raise UserError("the operator key is being changed already: run it again without ports")
        keystore.load(self._folder / KEYS, OPERATOR_KEY, self._password)
        owner = self._owner(self._folder)
        config = owner.config
        if {*ports} & {config.link_port, config.client_port} or ports[0] == ports[1]:
            raise UserError(
                "the new relay needs two ports of its own, for both run until the old one is wound up: name "
                "others with --link-port and --client-port"
            )
        owner.require_one_living_relay()
        owner.require_funds(capital, gas)
        old = f"0x{owner.operator.hex()}"
        plan = Plan(
            stage="preparing",
            old=old,
            link_port=ports[0],
            client_port=ports[1],
            capital=str(capital),
            gas=str(gas),
        )
        write(self._folder, plan)
        return plan

    # ------------------------------------------------------------------ going on

    def go_on(self) -> Rotated:
        """Do what can be done now. Raises UserError if a daemon runs, or nothing was begun; ChainError."""
        with HomeLock(self._folder):
            plan = read(self._folder)
            if plan is None:
                raise UserError("no operator key is being changed here")
            if plan.stage == "preparing":
                plan = self._prepare(plan)
            if plan.stage == "registering":
                plan = self._change_on_the_chain(plan)
            if plan.stage == "retiring":
                folders.retire(self._folder, plan)
                plan = self._at(plan, "promoting")
            if plan.stage == "promoting":
                plan = self._promote(plan)
        return self.finish(plan)

    def _at(self, plan: Plan, stage: str, new: str | None = None) -> Plan:
        plan = plan.at(stage, new)  # type: ignore[arg-type]
        write(self._folder, plan)
        return plan

    def _prepare(self, plan: Plan) -> Plan:
        keystore.load(self._folder / KEYS, OPERATOR_KEY, self._password)  # a relay has one password
        account = folders.make_successor(self._folder, plan, self._password, self._kdf)
        return self._at(plan, "registering", f"0x{account.hex()}")

    def _change_on_the_chain(self, plan: Plan) -> Plan:
        successor = self._folder / SUCCESSOR
        if f"0x{operator_account(successor).hex()}" != plan.new:
            raise UserError(f"{successor} has another operator key than {self._folder / PLAN} names")
        # First the new one: between the two the network has a relay more, never one less.
        self._owner(successor).register(self._password, Amount(int(plan.capital)), int(plan.gas))
        self._owner(self._folder).leave()
        return self._at(plan, "retiring")

    def _promote(self, plan: Plan) -> Plan:
        successor = self._folder / SUCCESSOR
        if successor.exists():
            with HomeLock(successor):
                folders.promote(self._folder)
        return self._at(plan, "winding up")

    # ------------------------------------------------------------------ ending

    def finish(self, plan: Plan) -> Rotated:
        """Pay out what is free of the old relay; forget the plan when nothing is left."""
        place = retired_folder(self._folder, plan)
        waits = [*self._settling(place), *self._pay_out(place, plan)]
        if waits:
            return Rotated(plan.old, plan.new or "", plan.stage, waits)
        (self._folder / PLAN).unlink(missing_ok=True)
        self._say(f"nothing is left of the old key: {place} may be deleted")
        return Rotated(plan.old, plan.new or "", "done", [])

    def _settling(self, place: Path) -> list[str]:
        if (place / SETTLED).exists():
            return []
        return ["the old relay is not wound up yet: keep `mixpay-relay run` running, and see its status"]

    def _pay_out(self, place: Path, plan: Plan) -> list[str]:
        """The stake when it is free; ledger and ether of the old account when nobody needs them any more."""
        owner = self._owner(place)
        bound = owner.stake_bound_until()
        settled = (place / SETTLED).exists()
        if bound is not None and owner.now() < bound:
            return [f"the old stake is bound until {moment(bound)}: run `mixpay-relay rotate-key` again then"]
        if bound is not None or settled:
            paid = owner.withdraw(owner.account, self._password if settled else None)
            if paid.stake or paid.ledger:
                self._say(f"{shown(Amount(paid.stake + paid.ledger))} tokens paid to the owner")
        if settled:
            self._hand_over_ether(owner, place, plan)
        return []

    def _hand_over_ether(self, owner: Owner, place: Path, plan: Plan) -> None:
        """What the old account has left for gas goes to the new one."""
        if plan.new is None:
            return
        to = Account(bytes.fromhex(plan.new[2:]))
        sender = Sender(owner.rpc, keystore.load(place / KEYS, OPERATOR_KEY, self._password))
        moved = sender.transfer_rest(to)
        if moved:
            self._say(f"{shown(Amount(moved))} ether of the old account sent to {show_account(to)}")
