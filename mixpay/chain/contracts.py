"""The six contracts, typed. What reads asks the node and returns value objects; what writes returns a `Call`
for `Sender.send`. The interfaces in contracts/interfaces say what each function does and refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixpay import eip712
from mixpay.chain.contract import Contract
from mixpay.chain.court import ReceiptCourt
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import (
    Campaign,
    Channel,
    FormerSigner,
    FrozenEpoch,
    PaidToRelay,
    PeriodKey,
    RegisteredRelay,
    RelayProof,
    Release,
)
from mixpay.deployment import Deployment
from mixpay.passes import Redemption
from mixpay.types import Account, Amount, Epoch, RelayId


class Token(Contract):
    """Any plain ERC-20."""

    NAME = "Token"

    def balance_of(self, account: Account) -> Amount:
        """Tokens that the account holds."""
        return Amount(self._read("balanceOf", account))

    def allowance(self, owner: Account, spender: Account) -> Amount:
        """Tokens that the spender may take from the owner."""
        return Amount(self._read("allowance", owner, spender))

    def total_supply(self) -> Amount:
        """Tokens that exist."""
        return Amount(self._read("totalSupply"))

    def decimals(self) -> int:
        """Digits of one token's smallest unit."""
        return int(self._read("decimals"))

    def transfer(self, to: Account, amount: Amount) -> Call:
        """Sends tokens."""
        return self._write("transfer", to, amount)

    def approve(self, spender: Account, amount: Amount) -> Call:
        """Lets the spender take so many tokens, in all from now on."""
        return self._write("approve", spender, amount)


class Network(Contract):
    """The clock and the published releases."""

    NAME = "Network"

    def genesis(self) -> int:
        """Start of epoch 0, seconds of chain time."""
        return int(self._read("genesis"))

    def epoch_length(self) -> int:
        """Seconds."""
        return int(self._read("epochLength"))

    def current_epoch(self) -> Epoch:
        """Epoch of the latest block."""
        return Epoch(self._read("currentEpoch"))

    def release(self) -> Release:
        """In force now. Raises Reverted "NoRelease"."""
        return Release(*self._read("release"))

    def release_at(self, epoch: Epoch) -> Release:
        """In force in an epoch. Raises Reverted "NoRelease"."""
        return Release(*self._read("releaseAt", epoch))

    def releases(self, index: int) -> Release:
        """By its place in the list."""
        return Release(*self._read("releases", index))

    def release_count(self) -> int:
        """How many were published."""
        return int(self._read("releaseCount"))

    def owner(self) -> Account:
        """Who publishes releases."""
        return Account(self._read("owner"))

    def pending_owner(self) -> Account:
        """Who has been offered ownership and has not accepted yet; NOBODY if no one."""
        return Account(self._read("pendingOwner"))

    def publish(self, release: Release) -> Call:
        """Appends a release. Only the owner."""
        fields = (release.registry, release.channels, release.pool)
        terms = (release.wire_version, release.hop_price, release.activation_epoch)
        return self._write("publish", fields + terms)

    def transfer_ownership(self, to: Account) -> Call:
        """Offers ownership. Only the owner."""
        return self._write("transferOwnership", to)

    def accept_ownership(self) -> Call:
        """Takes ownership that was offered."""
        return self._write("acceptOwnership")


class RelayRegistry(Contract):
    """The staked relays."""

    NAME = "RelayRegistry"

    def relay(self, id: RelayId) -> RegisteredRelay:
        """By its id; all zero where there is none."""
        return RegisteredRelay(*self._read("relay", id))

    def relay_of(self, operator: Account) -> RelayId:
        """The relay that an operator key serves or served; 0 when it was never used."""
        return RelayId(self._read("relayOf", operator))

    def stake_left(self, id: RelayId) -> Amount:
        """What the registry still holds of a relay's stake; after its withdrawal, an open penalty."""
        return Amount(self._read("stakeLeft", id))

    def reporter_of(self, id: RelayId) -> Account:
        """Who proved the relay's equivocation; NOBODY where it was not condemned."""
        return Account(self._read("reporterOf", id))

    def root(self) -> bytes:
        """Root over the relays as they are now."""
        return bytes(self._read("root"))

    def count(self) -> int:
        """Positions ever used."""
        return int(self._read("count"))

    def frozen(self, epoch: Epoch) -> FrozenEpoch:
        """What was fixed for an epoch. Raises Reverted "NotFrozen"."""
        return FrozenEpoch(*self._read("frozen", epoch))

    def is_frozen(self, epoch: Epoch) -> bool:
        """Whether root, count and beacon of the epoch are fixed."""
        return bool(self._read("isFrozen", epoch))

    def stake(self) -> Amount:
        """Of every relay."""
        return Amount(self._read("STAKE"))

    def unbonding(self) -> int:
        """Seconds between leaving and the pay-out of the stake."""
        return int(self._read("UNBONDING"))

    def burnt(self) -> Amount:
        """Sum of all penalties settled, bounties not included."""
        return Amount(self._read("burnt"))

    def token(self) -> Account:
        """The token staked."""
        return Account(self._read("TOKEN"))

    def register(self, operator: Account, link_key: bytes, endpoint: str, consent: bytes) -> Call:
        """The caller becomes owner; `consent` is the operator's signature over OperatorConsent."""
        return self._write("register", operator, link_key, endpoint, consent)

    def update(self, id: RelayId, link_key: bytes, endpoint: str) -> Call:
        """Changes how the relay is reached. Owner or operator."""
        return self._write("update", id, link_key, endpoint)

    def transfer_ownership(self, id: RelayId, to: Account) -> Call:
        """Offers the relay and its stake. Only the owner."""
        return self._write("transferOwnership", id, to)

    def accept_ownership(self, id: RelayId) -> Call:
        """Takes a relay that was offered."""
        return self._write("acceptOwnership", id)

    def leave(self, id: RelayId) -> Call:
        """Starts unbonding. Only the owner."""
        return self._write("leave", id)

    def withdraw_stake(self, id: RelayId, to: Account) -> Call:
        """Pays out what is left of the stake after unbonding. Only the owner."""
        return self._write("withdrawStake", id, to)

    def settle_penalty(self, id: RelayId) -> Call:
        """Pays the bounty for a condemned relay, burns the rest of its penalty. Anyone."""
        return self._write("settlePenalty", id)

    def freeze(self) -> Call:
        """Fixes the next epoch. Anyone."""
        return self._write("freeze")


class Channels(Contract):
    """The ledger and the channels on it."""

    NAME = "Channels"

    def balance_of(self, account: Account) -> Amount:
        """In the ledger, channels not included."""
        return Amount(self._read("balanceOf", account))

    def channel(self, payer: Account, payee: Account) -> Channel:
        """All zero when there never was one."""
        return Channel(*self._read("channel", payer, payee))

    def notice(self) -> int:
        """Seconds between a close request and its end."""
        return int(self._read("NOTICE"))

    def token(self) -> Account:
        """The token held."""
        return Account(self._read("TOKEN"))

    def deposit(self, amount: Amount) -> Call:
        """Moves approved tokens into the caller's balance."""
        return self._write("deposit", amount)

    def deposit_for(self, account: Account, amount: Amount) -> Call:
        """Moves approved tokens into another account's balance."""
        return self._write("depositFor", account, amount)

    def deposit_with_permit(self, amount: Amount, deadline: int, signature: bytes) -> Call:
        """Approves by the caller's ERC-2612 permit (65 bytes r ‖ s ‖ v), and deposits."""
        return self._write(
            "depositWithPermit", amount, deadline, signature[64], signature[:32], signature[32:64]
        )

    def withdraw(self, to: Account, amount: Amount) -> Call:
        """Moves tokens out of the caller's balance."""
        return self._write("withdraw", to, amount)

    def move(self, to: Account, amount: Amount) -> Call:
        """From the caller's balance to another's."""
        return self._write("move", to, amount)

    def fund(self, payee: Account, amount: Amount) -> Call:
        """Opens or tops up the caller's channel to the payee; cancels a pending close."""
        return self._write("fund", payee, amount)

    def fund_many(self, channels: Sequence[tuple[Account, Amount]]) -> Call:
        """`fund` for many payees."""
        return self._write("fundMany", [payee for payee, _ in channels], [amount for _, amount in channels])

    def claim_many(self, payee: Account, vouchers: Sequence[tuple[Account, Amount, int, bytes]]) -> Call:
        """Submits many payers' vouchers: payer, total, last batch and signature (65 bytes) of each. All or
        nothing. Anyone."""
        records = (
            b"".join((payer, total.to_bytes(12, "big"), upto.to_bytes(4, "big"), *eip712.compact(signature)))
            for payer, total, upto, signature in vouchers
        )
        return self._write("claimMany", payee, b"".join(records))

    def claim(
        self, payer: Account, payee: Account, cumulative: Amount, upto_batch: int, signature: bytes
    ) -> Call:
        """Submits a voucher. Anyone."""
        return self._write("claim", payer, payee, cumulative, upto_batch, signature)

    def request_close(self, payee: Account) -> Call:
        """Gives notice for the caller's channel to the payee."""
        return self._write("requestClose", payee)

    def finish_close(self, payee: Account) -> Call:
        """Takes back what was not claimed, after the notice."""
        return self._write("finishClose", payee)

    def claim_judgement(self, payer: Account, payee: Account) -> Call:
        """Claims the court's newest judgement. Anyone."""
        return self._write("claimJudgement", payer, payee)

    def release(self, payer: Account) -> Call:
        """Lets the payer out of its channel to the caller at once."""
        return self._write("release", payer)


class SubsidyPool(Contract):
    """Campaigns."""

    NAME = "SubsidyPool"

    def campaign(self, id: int) -> Campaign:
        """By its number; all zero where there is none."""
        return Campaign(*self._read("campaign", id))

    def campaign_count(self) -> int:
        """Also the number of the newest."""
        return int(self._read("campaignCount"))

    def key(self, campaign: int, kind: int, period: int) -> PeriodKey:
        """Of a period: an epoch for kind 1, a term for kind 2."""
        return PeriodKey(*self._read("key", campaign, kind, period))

    def claimed_by(self, campaign: int, relay: Account) -> PaidToRelay:
        """What a relay (its operator) got from a campaign."""
        return PaidToRelay(*self._read("claimedBy", campaign, relay))

    def is_redeemed(self, pass_digest: bytes) -> bool:
        """Whether a pass (the SHA-256 of its message) was redeemed here."""
        return bool(self._read("isRedeemed", pass_digest))

    def former_signer(self, campaign: int) -> FormerSigner:
        """Whom the sponsor replaced last."""
        return FormerSigner(*self._read("formerSigner", campaign))

    def paid_in_period(self, campaign: int, period: Epoch) -> Amount:
        """What all relays got from a campaign for an epoch."""
        return Amount(self._read("paidInPeriod", campaign, period))

    def term_length(self) -> int:
        """Epochs."""
        return int(self._read("TERM_LENGTH"))

    def claim_window(self) -> int:
        """Seconds."""
        return int(self._read("CLAIM_WINDOW"))

    def withdrawal_notice(self) -> int:
        """Seconds."""
        return int(self._read("WITHDRAWAL_NOTICE"))

    def create_campaign(self, signer: Account, period_cap: Amount, relay_cap: Amount) -> Call:
        """The caller becomes sponsor; the number is in the event CampaignCreated."""
        return self._write("createCampaign", signer, period_cap, relay_cap)

    def fund(self, campaign: int, amount: Amount) -> Call:
        """Adds approved tokens to a budget. Anyone."""
        return self._write("fund", campaign, amount)

    def set_key(self, campaign: int, kind: int, period: int, key_hash: bytes) -> Call:
        """Fixes the key of a period, once. Sponsor or signer."""
        return self._write("setKey", campaign, kind, period, key_hash)

    def set_signer(self, campaign: int, signer: Account) -> Call:
        """Replaces the signer; the former one's vouchers stay valid for a claim window. Only the sponsor."""
        return self._write("setSigner", campaign, signer)

    def claim(self, campaign: int, period: Epoch, cumulative: Amount, signature: bytes) -> Call:
        """Submits a pool voucher; its signature has 65 bytes. Only the relay that it is for."""
        return self._write("claim", campaign, period, cumulative, *eip712.compact(signature))

    def redeem_passes(
        self,
        campaign: int,
        kind: int,
        period: int,
        modulus: bytes,
        relay: RelayProof,
        passes: Sequence[Redemption],
    ) -> Call:
        """Redeems passes of a period that is over, all or none. `modulus`: of its key, 256 bytes. Only
        the relay that they draw."""
        shown = [(p.anchor, _words(p.signature), p.tick.number, p.tick.link, list(p.proof)) for p in passes]
        place = (relay.id, relay.position, relay.link_key, relay.endpoint_hash, list(relay.siblings))
        return self._write("redeemPasses", campaign, kind, period, _words(modulus), place, shown)

    def request_withdrawal(self, campaign: int, amount: Amount) -> Call:
        """Gives notice. Only the sponsor."""
        return self._write("requestWithdrawal", campaign, amount)

    def finish_withdrawal(self, campaign: int, to: Account) -> Call:
        """Takes budget back after the notice. Only the sponsor."""
        return self._write("finishWithdrawal", campaign, to)


def _words(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]


class Contracts:
    """The contracts of a deployment, read as they stand after `block` (None: the newest at each read)."""

    def __init__(self, rpc: Rpc, deployment: Deployment, block: int | None = None) -> None:
        self.token = Token(rpc, deployment.token, block)
        self.network = Network(rpc, deployment.network, block)
        self.registry = RelayRegistry(rpc, deployment.registry, block)
        self.channels = Channels(rpc, deployment.channels, block)
        self.court = ReceiptCourt(rpc, deployment.court, block)
        self.pool = SubsidyPool(rpc, deployment.pool, block)
