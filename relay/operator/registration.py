"""What an owner does on the chain: stake and register a relay, equip it, let it leave, get the stake back.

Everything is checked before the first transaction is sent, and everything may be repeated: what is done
already is not done again. Blocks on the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixpay import deployment as deployments
from mixpay import eip712, keystore, tls
from mixpay.accounts import show_account
from mixpay.amounts import moment, shown
from mixpay.chain.contracts import Contracts
from mixpay.chain.events import Decoder, StakeWithdrawn
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.chain.views import NOBODY, RegisteredRelay
from mixpay.deployment import Deployment
from mixpay.endpoint import Endpoint
from mixpay.errors import UserError
from mixpay.registry_tree import relay_leaf
from mixpay.types import Account, Amount, RelayId
from relay import config as configs
from relay.home import CONFIG, KEYS, LINK_KEY, OPERATOR_KEY, operator_account
from relay.operator.announced import require_reachable
from relay.operator.departure import Capital, Outlook, outlook
from relay.operator.releases import OperatorReleases

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Lacking:
    """What the operator's account lacks: tokens in the ledger, ether in wei."""

    capital: Amount
    gas: int


@dataclass(frozen=True, slots=True)
class Registered:
    """`new`: the relay was registered now. `updated`: its endpoint or link key was changed now."""

    relay: RelayId
    new: bool
    updated: bool
    operator: Account
    owner: Account
    endpoint: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """`withdrawable_at`: when the stake can be withdrawn. `new`: the relay left now."""

    relay: RelayId
    withdrawable_at: int
    new: bool


@dataclass(frozen=True, slots=True)
class PaidOut:
    """What was paid out now, in token units. `withdrawable_at`: when the stake can be, if not yet."""

    relay: RelayId
    to: Account
    stake: Amount
    ledger: Amount
    withdrawable_at: int | None


def _is_unbonding(relay: RegisteredRelay) -> bool:
    return relay.owner != NOBODY and relay.withdrawable_at > 0


class Owner:
    """A relay's owner, at the chain. `key`: the owner's, 32 bytes; `folder`: the relay's.

    `release`: the number of the one that is meant. None: the one in force to register in; to leave and to
    withdraw the only one in which there is something to do.
    """

    def __init__(self, folder: Path, key: bytes, say: Progress, release: int | None = None) -> None:
        """Connect. Raises UserError for a wrong key, configuration or chain, ChainError without a chain."""
        self.config = configs.load(folder / CONFIG)
        self.operator = operator_account(folder)
        self._folder, self._say = folder, say
        deployment = deployments.load(folder / self.config.deployment)
        try:
            account = Account(eip712.account_of(key))
        except ValueError:
            raise UserError("the owner's key is no private key of secp256k1") from None
        if account != self.config.owner_account:
            raise UserError(
                f"the key is of {show_account(account)}, but the configuration's owner is "
                f"{show_account(self.config.owner_account)}"
            )
        self._rpc = connect(self.config.rpc_url, deployment)
        self._sender = Sender(self._rpc, key)
        self._releases = OperatorReleases(self._rpc, deployment, self.operator)
        self._wanted = release
        self._enter(deployment)

    def _enter(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._contracts = Contracts(self._rpc, deployment)

    @property
    def account(self) -> Account:
        """The owner's."""
        return self._sender.account

    @property
    def rpc(self) -> Rpc:
        """The way to the chain."""
        return self._rpc

    def now(self) -> int:
        """Chain time, in seconds. Raises ChainError."""
        return self._rpc.latest().timestamp

    # ------------------------------------------------------------------ before anything is done

    def require_one_living_relay(self) -> None:
        """Raise UserError unless this operator has one relay, that is ours and has not left; ChainError."""
        self._enter(self._releases.with_relay(self._wanted, lambda relay: not relay.withdrawable_at))
        relay, _ = self._registered()
        self._owned(relay)

    def require_funds(self, capital: Amount, gas: int) -> None:
        """Raise UserError unless the owner could register one more relay; ChainError."""
        self._check_funds(self._contracts.registry.stake(), _Lacking(capital, gas))

    def stake_bound_until(self) -> int | None:
        """When the stake of a relay that has left is free; None once it was paid out.

        Raises UserError if there is no such relay; ChainError.
        """
        self._enter(self._releases.with_relay(self._wanted, _is_unbonding))
        _, found = self._registered()
        return None if found.owner == NOBODY else found.withdrawable_at

    def outlook(self) -> Outlook:
        """What would happen if the relay left now, or will, if it has. Raises UserError, ChainError."""
        self._enter(self._releases.with_relay(self._wanted, lambda relay: not relay.withdrawable_at))
        relay, found = self._registered()
        if found.owner == NOBODY:
            raise UserError(f"relay {relay} has left, and its stake was paid out")
        self._check_owner(relay, found)
        ledger = self._contracts.channels.balance_of(self.operator)
        capital = Capital(self._contracts.registry.stake_left(relay), Amount(ledger), None)
        return outlook(relay, found, self._deployment, self.now(), capital)

    # ------------------------------------------------------------------ register

    def register(
        self, password: str, capital: Amount, gas: int, ports: tuple[int, int] | None = None
    ) -> Registered:
        """Make the registry say what the configuration says, and equip the operator's account.

        `password`: of the relay's key store. `capital` (token units, in the ledger) and `gas` (wei) are what
        the account has at least afterwards. `ports`: for links and for clients, others than the
        configuration's. Raises UserError, ChainError.
        """
        keys = self._folder / KEYS
        operator_key = keystore.load(keys, OPERATOR_KEY, password)
        link_key = tls.link_key_of(keystore.load(keys, LINK_KEY, password))
        endpoint = str(Endpoint(self.config.host, *ports)) if ports else self.config.endpoint
        private = self.config.private_network
        told = require_reachable(self.config.host, self._deployment.chain_id, private=private)
        if told:
            self._say(f"note: {told}")
        self._enter(self._releases.to_register(self._wanted))
        self._releases.check_free(self._deployment, link_key, endpoint)
        registry = self._contracts.registry
        relay = registry.relay_of(self.operator)
        changed = bool(relay) and self._differs(relay, link_key, endpoint)
        lacking = self._lacking(capital, gas)
        self._check_funds(Amount(0) if relay else registry.stake(), lacking)
        new = not relay
        if new:
            self._allow(registry.address, registry.stake())
            self._say(f"staking {shown(registry.stake())} tokens and registering {endpoint}")
            domain = eip712.registry_domain(self._deployment.chain_id, self._deployment.registry)
            consent = eip712.OperatorConsent(self.operator, self.account).digest(domain)
            signed = eip712.sign(operator_key, consent)
            self._sender.send(registry.register(self.operator, link_key, endpoint, signed))
            relay = registry.relay_of(self.operator)
        elif changed:
            self._say(f"relay {relay} gets a new endpoint or link key: {endpoint}")
            self._sender.send(registry.update(relay, link_key, endpoint))
        self._equip(lacking)
        return Registered(relay, new, changed, self.operator, self.account, endpoint)

    def _owned(self, relay: RelayId) -> RegisteredRelay:
        """The relay, if it is registered and ours. Raises UserError."""
        found = self._contracts.registry.relay(relay)
        if found.owner == NOBODY or found.withdrawable_at:
            raise UserError(
                f"relay {relay} of this operator key has left or was evicted, and a key serves one relay "
                "only: make a new folder with `mixpay-relay init`"
            )
        self._check_owner(relay, found)
        return found

    def _check_owner(self, relay: RelayId, found: RegisteredRelay) -> None:
        if found.owner != self.account:
            raise UserError(f"relay {relay} is owned by {show_account(found.owner)}, not by this key")

    def _differs(self, relay: RelayId, link_key: bytes, endpoint: str) -> bool:
        """Whether the relay is registered with another contact. Raises UserError if it is not ours."""
        leaf = relay_leaf(relay, self.operator, link_key, endpoint.encode())
        return self._owned(relay).leaf != leaf

    def _lacking(self, capital: Amount, gas: int) -> _Lacking:
        ledger = self._contracts.channels.balance_of(self.operator) if capital else 0
        ether = self._rpc.balance(self.operator) if gas else 0
        return _Lacking(Amount(max(0, capital - ledger)), max(0, gas - ether))

    def _check_funds(self, stake: Amount, lacking: _Lacking) -> None:
        """Raise UserError, naming the account, if stake, capital or ether are not there."""
        shown_owner = show_account(self.account)
        tokens = self._contracts.token.balance_of(self.account)
        capital = self._to_deposit(lacking)
        if tokens < stake + capital:
            parts = [f"{shown(stake)} to stake"] * bool(stake) + [f"{shown(capital)} capital"] * bool(capital)
            raise UserError(
                f"the owner {shown_owner} has {shown(tokens)} tokens and needs {' and '.join(parts)}"
            )
        ether = self._rpc.balance(self.account)
        if ether <= lacking.gas:
            needed = (
                f"{shown(lacking.gas)} for the operator and some for gas" if lacking.gas else "some for gas"
            )
            raise UserError(f"the owner {shown_owner} has {shown(ether)} ether and needs {needed}")

    def _to_deposit(self, lacking: _Lacking) -> Amount:
        """What has to enter the ledger: an earlier try may have left some in the owner's balance there."""
        if not lacking.capital:
            return Amount(0)
        return Amount(max(0, lacking.capital - self._contracts.channels.balance_of(self.account)))

    def _equip(self, lacking: _Lacking) -> None:
        channels, deposit = self._contracts.channels, self._to_deposit(lacking)
        if deposit:
            self._allow(channels.address, deposit)
            self._say(f"depositing {shown(deposit)} tokens")
            self._sender.send(channels.deposit(deposit))
        if lacking.capital:
            self._sender.send(channels.move(self.operator, lacking.capital))
            self._warn_of_sweep()
        if lacking.gas:
            self._say(f"sending {shown(lacking.gas)} ether to the operator")
            self._sender.transfer_ether(self.operator, lacking.gas)

    def _warn_of_sweep(self) -> None:
        rules, price = self.config.treasury, self._deployment.parameters.hop_price
        swept_above = (rules.float_ + rules.sweep_at) * price
        ledger = self._contracts.channels.balance_of(self.operator)
        if ledger > swept_above:
            self._say(
                f"note: the daemon pays out to the owner what is above {shown(swept_above)} tokens; raise "
                f"`float` in {CONFIG} to keep more working"
            )

    def _allow(self, spender: Account, amount: Amount) -> None:
        token = self._contracts.token
        if token.allowance(self.account, spender) < amount:
            self._sender.send(token.approve(spender, amount))

    # ------------------------------------------------------------------ leave

    def leave(self) -> Leaving:
        """Take the relay out of the registry. Raises UserError, ChainError."""
        self._enter(self._releases.with_relay(self._wanted, lambda relay: not relay.withdrawable_at))
        relay, found = self._registered()
        if found.owner == NOBODY:
            raise UserError(f"relay {relay} has left, and its stake was paid out")
        self._check_owner(relay, found)
        new = not found.withdrawable_at
        if new:
            self._say(f"relay {relay} leaves")
            self._sender.send(self._contracts.registry.leave(relay))
            found = self._contracts.registry.relay(relay)
        return Leaving(relay, found.withdrawable_at, new)

    def _registered(self) -> tuple[RelayId, RegisteredRelay]:
        relay = self._contracts.registry.relay_of(self.operator)
        if not relay:
            operator = show_account(self.operator)
            raise UserError(f"the operator {operator} was never registered: nothing to leave or withdraw")
        return relay, self._contracts.registry.relay(relay)

    # ------------------------------------------------------------------ withdraw

    def withdraw(self, to: Account, ledger_password: str | None) -> PaidOut:
        """Pay out what is left of the stake; with a password (of the relay's key store), the operator's
        ledger balance too.

        Raises UserError, saying when, if the stake is bound and there was nothing else to do; ChainError.
        """
        self._enter(self._releases.with_relay(self._wanted, _is_unbonding))
        relay, found = self._registered()
        if found.owner not in (NOBODY, self.account):
            self._check_owner(relay, found)
        ledger = self._pay_ledger(to, ledger_password) if ledger_password is not None else Amount(0)
        if found.owner == NOBODY:
            return PaidOut(relay, to, Amount(0), ledger, None)
        if not found.withdrawable_at:
            raise UserError(f"relay {relay} has not left: run `mixpay-relay leave` first")
        if self._rpc.latest().timestamp < found.withdrawable_at:
            if ledger:
                return PaidOut(relay, to, Amount(0), ledger, found.withdrawable_at)
            when = moment(found.withdrawable_at)
            raise UserError(f"the stake of relay {relay} is bound until {when}: withdraw it then")
        self._say(f"withdrawing the stake of relay {relay}")
        receipt = self._sender.send(self._contracts.registry.withdraw_stake(relay, to))
        reported = map(Decoder(self._deployment).decode, receipt.logs)
        paid = sum(event.amount for event in reported if isinstance(event, StakeWithdrawn))
        return PaidOut(relay, to, Amount(paid), ledger, None)

    def _pay_ledger(self, to: Account, password: str) -> Amount:
        operator = Sender(self._rpc, keystore.load(self._folder / KEYS, OPERATOR_KEY, password))
        balance = self._contracts.channels.balance_of(operator.account)
        if balance:
            self._say(f"paying {shown(balance)} tokens out of the ledger")
            operator.send(self._contracts.channels.withdraw(to, balance))
        return balance
