"""A sponsor's chores on the chain: create a campaign, fund it.

The account `sponsor` owns the campaign; the account `signer` sets keys and signs vouchers while the service
runs. So the service never needs the sponsor's key, but the signer needs a little ether.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixpay import deployment as deployment_file
from mixpay import eip712, keystore
from mixpay.accounts import show_account
from mixpay.amounts import shown
from mixpay.chain.contracts import Contracts
from mixpay.chain.events import CampaignCreated, Decoder
from mixpay.chain.releases import deployment_of, published
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.chain.views import NOBODY
from mixpay.deployment import Deployment
from mixpay.errors import TransactionFailed, UserError
from mixpay.keystore import Kdf, Secret
from mixpay.releases import Span, find_span
from mixpay.sponsor.config import PORT, Home, SponsorConfig
from mixpay.types import Account, Amount

SPONSOR, SIGNER, IDENTITY, PASSES = "sponsor", "signer", "identity", "passes"
"""Names in a sponsor's key store."""

_LOOK_BACK = 100
"""Campaigns looked through for one that an interrupted `create` made."""

Progress = Callable[[str], None]
"""Gets a line for people."""
SIGNER_WEI = 5 * 10**16
"""What the signer's transactions of some months cost."""


@dataclass(frozen=True, slots=True)
class Created:
    """A campaign: its number, and the accounts that own it and sign for it."""

    campaign: int
    sponsor: Account
    signer: Account


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was paid out now, or when it can be (seconds of chain time)."""

    paid: Amount
    withdrawable_at: int | None


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a campaign pays for one period, in all and to one relay, in token units. They never change."""

    period: Amount
    relay: Amount


class Desk:
    """A sponsor's home with its configuration and node, and the contracts of one release.

    `release`: its number; None is the deployment file's. `later` is the number under which the home keeps a
    later release, None for the deployment file's. Raises UserError, ChainUnavailable.
    """

    def __init__(self, home: Home, release: int | None = None) -> None:
        self.home = home
        self.config: SponsorConfig = home.load()
        self.deployment: Deployment = deployment_file.load(home.path(self.config.deployment))
        self.rpc: Rpc = connect(self.config.rpc_url, self.deployment)
        self.later: int | None = None
        if release is not None:
            self._go_to(find_span(published(self.rpc, self.deployment), release))
        self.contracts = Contracts(self.rpc, self.deployment)

    def _go_to(self, span: Span) -> None:
        """Raises CannotFollow."""
        found = deployment_of(self.rpc, self.deployment, span.number, span.release)
        if found is not self.deployment:
            self.deployment, self.later = found, span.number

    @property
    def campaign(self) -> int:
        """The campaign's number in this release. Raises UserError if there is none yet."""
        number = self.config.campaign_in(self.later)
        if not number:
            option = "" if self.later is None else f" --release {self.later}"
            raise UserError(f"there is no campaign yet: run `mixpay sponsor create{option}` first")
        return number

    def secret(self, name: str, password: str) -> Secret:
        """A key of the home's key store."""
        return keystore.load(self.home.keystore, name, password)


def _silent(_: str) -> None:
    """Nobody wants to know."""


def init(
    home: Home,
    password: str,
    rpc_url: str,
    deployment: Path,
    *,
    port: int = PORT,
    policies: Sequence[Mapping[str, str]] = (),
    kdf: Kdf = Kdf.STANDARD,
) -> Account:
    """Make a new home, its settings and its keys; the account that shall get ether and tokens.

    `port`, `policies`: see `Home.write_template`. Raises UserError.
    """
    deployment_file.load(deployment)
    Rpc(rpc_url)  # refuses what is no address
    home.write_template(rpc_url, deployment, port, policies)
    return make_keys(home, password, kdf)


def make_keys(home: Home, password: str, kdf: Kdf) -> Account:
    """Make the keys of a new home, those that are there stay; the sponsor's account.

    Raises UserError if there are keys under another password.
    """
    there = keystore.names(home.keystore)
    missing = [name for name in (SPONSOR, SIGNER, IDENTITY, PASSES) if name not in there]
    account = eip712.account_of(keystore.load(home.keystore, SPONSOR, password)) if SPONSOR in there else None
    if missing:
        keystore.create(home.keystore, missing, password, kdf=kdf)
    return account or eip712.account_of(keystore.load(home.keystore, SPONSOR, password))


def create(
    home: Home,
    password: str,
    caps: Caps,
    signer_wei: int = SIGNER_WEI,
    progress: Progress = _silent,
    release: int | None = None,
) -> Created:
    """Create the campaign on chain and write its number into the configuration.

    `release`: in whose pool; None is the deployment file's. Gives the signer's account `signer_wei` of ether
    for its transactions. A campaign that an interrupted call made is taken up. Raises UserError (a campaign
    exists already, no ether), ChainError.
    """
    desk = Desk(home, release)
    there = desk.config.campaign_in(desk.later)
    if there:
        raise UserError(f"{home.config_path} names campaign {there} already")
    sender = Sender(desk.rpc, desk.secret(SPONSOR, password))
    signer = eip712.account_of(desk.secret(SIGNER, password))
    progress(f"sponsor {show_account(sender.account)}, signer {show_account(signer)}")
    number = _made_before(desk.contracts, sender.account, signer)
    if number is None:
        number = _create_campaign(desk, sender, signer, caps)
    else:
        found = desk.contracts.pool.campaign(number)
        its_caps = f"{shown(found.period_cap)} tokens for a period, {shown(found.relay_cap)} for a relay"
        progress(f"taking up campaign {number}, which there is already; its caps: {its_caps}")
    lacking = signer_wei - desk.rpc.balance(signer)
    if lacking > 0:
        progress("giving the signer ether for its transactions")
        sender.transfer_ether(signer, lacking)
    home.remember_campaign(number, desk.later)
    return Created(number, sender.account, signer)


def fund(
    home: Home,
    password: str,
    amount: Amount,
    progress: Progress = _silent,
    release: int | None = None,
    campaign: int | None = None,
) -> Amount:
    """Add tokens of the sponsor's account to a campaign's budget; the new budget.

    `release`: as for `create`; `campaign`: another one than the home's, as a gift. Raises UserError if there
    is no such campaign or the account has not as many tokens, ChainError.
    """
    desk = Desk(home, release)
    token, pool = desk.contracts.token, desk.contracts.pool
    if campaign is None:
        campaign = desk.campaign
    elif pool.campaign(campaign).sponsor == NOBODY:
        raise UserError(f"there is no campaign {campaign} in this network: check its number")
    sender = Sender(desk.rpc, desk.secret(SPONSOR, password))
    balance = token.balance_of(sender.account)
    if balance < amount:
        needed, has = shown(amount), shown(balance)
        raise UserError(f"account {show_account(sender.account)} has {has} tokens: send it at least {needed}")
    if token.allowance(sender.account, pool.address) < amount:
        progress("allowing the pool to take the tokens")
        sender.send(token.approve(pool.address, amount))
    progress(f"adding {shown(amount)} tokens to campaign {campaign}")
    sender.send(pool.fund(campaign, amount))
    return pool.campaign(campaign).budget


def withdraw(
    home: Home,
    password: str,
    to: Account | None = None,
    progress: Progress = _silent,
    release: int | None = None,
) -> Withdrawal:
    """Take the whole budget back: give notice for it, or when that is over, have it paid out.

    `to`: who receives it, the sponsor's account if None; `release`: as for `create`. Raises UserError if
    there is no campaign or nothing in it, ChainError.
    """
    desk = Desk(home, release)
    pool, number = desk.contracts.pool, desk.campaign
    sender = Sender(desk.rpc, desk.secret(SPONSOR, password))
    found = pool.campaign(number)
    if not found.withdrawable_at:
        if not found.budget:
            raise UserError(f"campaign {number} has no budget left")
        progress(f"giving notice for {shown(found.budget)} tokens of campaign {number}")
        sender.send(pool.request_withdrawal(number, found.budget))
        found = pool.campaign(number)
    if desk.rpc.latest().timestamp < found.withdrawable_at:
        return Withdrawal(Amount(0), found.withdrawable_at)
    # What relays claimed meanwhile is theirs.
    paid = Amount(min(found.withdrawal, found.budget))
    progress(f"paying out {shown(paid)} tokens of campaign {number}")
    sender.send(pool.finish_withdrawal(number, to or sender.account))
    return Withdrawal(paid, None)


def cancel_withdrawal(home: Home, password: str, progress: Progress, release: int | None = None) -> Amount:
    """Take a notice of withdrawal back: relays count on the whole budget again; the budget.

    Raises UserError if there is no campaign or no notice, ChainError.
    """
    desk = Desk(home, release)
    pool, number = desk.contracts.pool, desk.campaign
    found = pool.campaign(number)
    if not found.withdrawable_at:
        raise UserError(f"no withdrawal from campaign {number} is under notice")
    sender = Sender(desk.rpc, desk.secret(SPONSOR, password))
    progress(f"taking back the notice for {shown(found.withdrawal)} tokens of campaign {number}")
    sender.send(pool.request_withdrawal(number, Amount(0)))
    return pool.campaign(number).budget


def _made_before(contracts: Contracts, sponsor: Account, signer: Account) -> int | None:
    newest = contracts.pool.campaign_count()
    for number in range(newest, max(newest - _LOOK_BACK, 0), -1):
        campaign = contracts.pool.campaign(number)
        if (campaign.sponsor, campaign.signer) == (sponsor, signer):
            return number
    return None


def _create_campaign(desk: Desk, sender: Sender, signer: Account, caps: Caps) -> int:
    receipt = sender.send(desk.contracts.pool.create_campaign(signer, caps.period, caps.relay))
    decoder = Decoder(desk.deployment)
    for event in map(decoder.decode, receipt.logs):
        if isinstance(event, CampaignCreated):
            return event.campaign
    raise TransactionFailed("the campaign was created, but the node shows no number: run the command again")
