"""Every figure that is read when Prometheus asks: names, what they mean, labels. Pure.

What is counted as it happens stands in `relay/metrics.py`; docs/operating/metrics.md lists both. Names
follow the conventions of Prometheus: the unit at the end, `_total` for what only grows. Peers are told apart
by relay id, campaigns by number; clients, mailboxes and passes are not, and no figure joins a payer with a
payee.

Amounts are in whole tokens, and ether: floating point, so exact to about 15 digits. Who needs them to the
unit asks `mixpay-relay status --json`. A "value" is in hop prices, and exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric

from mixpay.figures import Figure, Sheet

SIDE_PAYER, SIDE_PAYEE = "payer", "payee"

_PEER = ("side", "relay")
_ENDS = "side: payer (it owes us) or payee (we owe it)"

_QUEUES = (
    Figure("mixpay_queue_packets", "Packets that wait, by place: opening, mixer, next_hops", ("queue",)),
    Figure("mixpay_queue_bound_packets", "Most packets that wait there; next_hops: for one hop", ("queue",)),
    Figure("mixpay_connections", "Open connections: links_in, links_out, strangers, web, clients", ("kind",)),
    Figure("mixpay_connections_bound", "Most connections of a kind", ("kind",)),
    Figure("mixpay_links_paused", "Links of payers that are not read, for there is too much to do"),
    Figure("mixpay_workers", "Processes that open packets: running, wanted", ("state",)),
)
_STORE = (
    Figure("mixpay_store_commits_total", "Transactions of the database", grows=True),
    Figure("mixpay_store_changes_total", "Changes in them", grows=True),
    Figure("mixpay_store_commit_seconds_total", "Time spent in them", grows=True),
    Figure("mixpay_store_backlog_changes", "Changes that wait for the disk"),
    Figure("mixpay_store_bytes", "Size of the database with its journal"),
    Figure("mixpay_replay_tags", "Replay tags held, of all living epochs"),
    Figure("mixpay_mailboxes", "Mailboxes kept"),
    Figure("mixpay_mailbox_messages", "Messages in them"),
)
_BOOKS = (
    Figure("mixpay_link_up", f"Whether the link with a relay is open; {_ENDS}", _PEER),
    Figure("mixpay_unsettled_value", f"Tickets that no voucher covers, in hop prices; {_ENDS}", _PEER),
    Figure("mixpay_proven_value", "Of a payer's unsettled tickets, those whose responses are in", ("relay",)),
    Figure("mixpay_unsigned_tickets", f"Tickets that no batch signature covers; {_ENDS}", _PEER),
    Figure("mixpay_exposure_free_value", f"What may be added before a limit is met; {_ENDS}", _PEER),
    Figure("mixpay_exposure_bound_value", "Most that one payer may owe without a voucher (max_unsettled)"),
    Figure("mixpay_voucher_tokens", f"Total of the newest voucher; {_ENDS}", _PEER),
    Figure("mixpay_claimed_tokens", f"What was claimed of it on the chain; {_ENDS}", _PEER),
    Figure("mixpay_channel_deposit_tokens", f"Deposit of the channel; {_ENDS}", _PEER),
    Figure("mixpay_channel_close_timestamp_seconds", f"When a closing channel closes; {_ENDS}", _PEER),
    Figure("mixpay_tickets_lost", f"Tickets refused or lost since the start; {_ENDS}", _PEER),
    Figure(
        "mixpay_peer_refused", f"1: no ticket passes with this relay, and why; {_ENDS}", (*_PEER, "reason")
    ),
    Figure("mixpay_waiting_packets", "Packets that wait for a next hop", ("relay",)),
)
_MONEY = (
    Figure("mixpay_ledger_tokens", "The operator's balance in the ledger"),
    Figure("mixpay_account_tokens", "Tokens of the operator's account outside the ledger"),
    Figure("mixpay_account_ether", "The operator's gas money"),
    Figure("mixpay_transactions_pending", "Transactions of the account that are in no block yet"),
    Figure(
        "mixpay_transactions_total",
        "Transactions tried, by kind (treasury_..., court_...) and outcome (done, failed)",
        ("kind", "outcome"),
        grows=True,
    ),
    Figure("mixpay_postponed", "Payments that wait, by whom they are about", ("subject",)),
    Figure("mixpay_campaign_ticks", "Ticks of passes that are not redeemed yet", ("campaign",)),
    Figure("mixpay_campaign_voucher_tokens", "Total of a campaign's newest voucher", ("campaign",)),
    Figure("mixpay_campaign_claimed_tokens", "What its pool has paid to us", ("campaign",)),
    Figure(
        "mixpay_campaign_waiting", "Periods of a campaign whose passes wait to be redeemed", ("campaign",)
    ),
    Figure("mixpay_court_cases", "Batches in court or on the way: by_us, against_us", ("side",)),
)
_CHAIN = (
    Figure("mixpay_chain_timestamp_seconds", "Time of the newest block followed"),
    Figure("mixpay_chain_lag_seconds", "This computer's time less the chain's"),
    Figure("mixpay_chain_read_age_seconds", "Time since the chain was read last without an error"),
    Figure("mixpay_chain_trouble", "1: something that needs the chain failed when it was tried last"),
)
_EPOCHS = (
    Figure("mixpay_epoch", "Epoch of the network"),
    Figure("mixpay_term", "Term of the network"),
    Figure("mixpay_epoch_end_timestamp_seconds", "When this epoch ends"),
    Figure("mixpay_layer", "This relay's layer as a mix; 0: none in this epoch"),
    Figure("mixpay_epoch_fixed", "1: an epoch's relays are fixed: this, next", ("epoch",)),
    Figure("mixpay_member", "1: this relay belongs to an epoch that is fixed: this, next", ("epoch",)),
    Figure("mixpay_packet_key", "1: this relay has a packet key for an epoch: this, next", ("epoch",)),
    Figure("mixpay_descriptors_missing", "Relays of an epoch whose packet key is not known", ("epoch",)),
    Figure("mixpay_operator_notes", "Things that `mixpay-relay status` wants the operator to know"),
    Figure(
        "mixpay_relay_info", "1; which relay, release and program this is", ("relay", "release", "software")
    ),
)
TABLE: Mapping[str, Figure] = {
    figure.name: figure for figure in (*_QUEUES, *_STORE, *_BOOKS, *_MONEY, *_CHAIN, *_EPOCHS)
}


def sheet() -> Sheet:
    """For the samples of one moment."""
    return Sheet(TABLE)


def described() -> Iterable[Metric]:
    """All families without samples."""
    return sheet().families()
