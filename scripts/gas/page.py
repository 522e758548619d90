"""docs/gas.md, made from the snapshot."""

from __future__ import annotations

from scripts.gas.goals import GOALS

_MEANING = {
    "deposit": "tokens into the ledger",
    "withdraw": "tokens out of it",
    "move": "inside it",
    "fund_open": "open a channel",
    "fund_topup": "add to one",
    "fund_many10_each": "open one of ten",
    "claim_first": "claim, the payee's balance zero",
    "claim_next": "claim again",
    "claim_many10_each": "claim one of ten",
    "request_close": "give notice",
    "finish_close": "take the rest back",
    "release": "the payee lets the payer out",
    "court_open": "open a case, with its bond",
    "court_record": "record the seed",
    "court_finish": "16 samples of 65,536 tickets",
    "court_answer": "end a case by a voucher",
    "claim_judgement": "claim what was judged",
    "register": "register at 1,000 relays",
    "update_relay": "change endpoint and link key at 1,000 relays",
    "leave": "leave at 1,000 relays",
    "freeze": "first touch of an epoch",
    "withdraw_stake": "take the stake back",
    "pool_claim": "claim from a campaign again",
    "pool_claim_first": "the relay's first claim from a campaign",
    "redeem_pass": "one pass on chain, 256 links, at 1,000 relays",
    "pool_fund": "add to a campaign",
    "set_key": "fix a period's key",
}

_TEXT = """# What the contracts cost

`make gas` measures it: whole transactions (`gasUsed` of receipts, calldata included) on a local chain with the
Prague rules, random accounts without zero bytes, 18-decimal amounts, balances not zero before a call unless the
name says otherwise. It writes `reports/gas.json`, and fails where a figure differs by more than 0.5 % (court_finish: 2 %, redeem_pass: 1 %) from
`docs/gas-snapshot.json` or misses its goal. After a wanted change: `make gas WRITE=1`, which writes the snapshot
and this page.

| | gas | goal | |
|---|---:|---:|---|
{rows}

## A million packets

A channel's voucher is for a total, so a claim costs the same for one ticket and for a million. A million
packets on one path end in one pool claim and four channel claims: {million:,} gas, a quarter of a unit a packet. In
practice a relay has as many payers as it has predecessors, up to 256 a term: with `claimMany` at the ten-voucher
price, a claim from each of them is {term:,} gas, however many packets there were. Daemons claim so what is due
at the same time, up to 64 vouchers a transaction; of ten payers it is {ten:,} gas, where ten claims are {singly:,}.

The court is for the rare payer that goes silent. A case of 65,536 tickets is {case:,} gas from opening to claim,
{ticket} a ticket; a claim for more tickets costs little more, for the samples' paths grow with the logarithm.

## Beside others

Whole transactions measured on one local chain: HOPR under Prague rules by a direct call, the others under Osaka
rules, each contract as published by its project. A dash: the system has no such call.

| | open and fund | top up | redeem one | in a batch, each | close |
|---|---:|---:|---:|---:|---:|
| **Mixpay** | {fund_open:,} | {fund_topup:,} | {claim_next:,} | {claim_many10_each:,} (of 10) | {closing} |
| HOPR | 166,979 | 145,628 | 190,047 (through its Safe 244,109) | 64,618–78,867 (of 20) | 45,058 + 135,257 |
| Orchid lottery | 68,317 | 49,147 | 69,199 | 35,867 (of 10) | 60,803 + 55,795 |
| Raiden | 131,440 | 65,140 | 138,118 + 95,500 | – | – |
| Graph RAV | 75,539 | 58,439 | 140,248 | – | 81,787 + 56,343 |
| x402 batch settlement | 81,283 | 60,315 | 48,441 + settle 46,236 | 28,534 (of 10) | 52,713 + 50,530 |
| Swarm chequebook | 161,841 + 51,603 | 34,503 | 71,550 | – | – |
| Livepeer | 107,928 | 65,832 | 198,199 | 93,656 (of 10) | – |
| by hand, a token moved every time | 65,048 | 47,948 | 49,681 | 16,147 (of 10) | 28,813 + 44,828 |

Below the last line one comes by a ledger inside the contract: no token moves when a channel is funded, claimed
or closed.
"""


def render(figures: dict[str, int]) -> str:
    """The page for these figures. Raises KeyError for a figure whose meaning is not said here."""
    rows = "\n".join(_row(name, gas) for name, gas in figures.items())
    case = sum(figures[name] for name in ("court_open", "court_record", "court_finish", "claim_judgement"))
    return _TEXT.format(
        rows=rows,
        million=figures["pool_claim"] + 4 * figures["claim_next"],
        term=256 * figures["claim_many10_each"],
        ten=10 * figures["claim_many10_each"],
        singly=10 * figures["claim_next"],
        case=case,
        ticket=f"{case / 65_536:.0f}",
        closing=f"{figures['request_close']:,} + {figures['finish_close']:,}",
        **figures,
    )


def _row(name: str, gas: int) -> str:
    goal = f"{GOALS[name]:,}" if name in GOALS else ""
    return f"| {name} | {gas:,} | {goal} | {_MEANING[name]} |"
