"""docs/abuse.md, made from reports/abuse.json by `make abuse WRITE=1`; and the same in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from abuse import price
from abuse.commons import commons, times
from abuse.detail import detail
from abuse.findings import CAPPED, SCHEMES, WHAT_IF
from abuse.tables import percent, rule, share, table, worst
from mixpay.parameters import PRODUCTION

_TEXT = """# What a farmer of passes can take, and what stops it

**In short.** Your campaign pays relays for carrying your users' packets. A *farmer* runs relays and makes up users: they get
passes from you like everybody, send packets to nobody, and the farmer's relays are paid. A pass is worth {worth:g} token at most.
Of it a farmer with {least} of the network's stake takes {least_share:.0f} % at the worst, and one with {most} takes {most_share:.0f} %. The rules for relays
([below](#what-a-farmer-takes)) do not stop that. What stops it is yours:

- **Quotas and the price of an account.** Farming stops paying where an account costs more than all passes that it ever
  gets bring: [look yours up](#advice-how-many-passes-for-an-account).
- **`periodCap`** of the campaign: all farmers together take no more in an epoch, and never more than the budget. Set it to what you
  can lose. (`relayCap` bounds what one entry is paid; a farmer's mixes are paid by others' entries.) Where there are no accounts,
  only [work](#the-commons-passes-for-a-proof-of-work), this and the policy's own limits are all that there is.

## What a farmer takes

A pass pays for {ticks:,} packets, five hop prices each: {pull:,} hop prices of {hop_price:f} token. A fake packet need not be carried:
the first of the farmer's relays on its path keeps all that it was handed: five hop prices if it is the entry, four if it is the first
mix, and so on; one if it is only the mailbox. In % of what its passes can pull from the pool, by the farmer's share of the stake:

| | {heads} |
|---|{rule}|
{takes}
| in tokens, of one pass | {tokens} |

(c) is what Mixpay does, and shown is the farmer's best: it sends when most is allowed, through its own relays wherever it may,
never throws a pass away, has its users' mailboxes at home, and takes of all [simulated traffic](#every-scenario) that which suits it
best: few fakes beside many honest users.

![Money taken against stake](abuse.png)

## Advice: how many passes for an account

If an account costs your attacker so many tokens (a telephone number, a deposit, a purchase), allow at most so many passes in its
whole life; 0: even one pays. If you do not know how much stake an attacker has, take the column on the right.

| an account costs | {heads} |
|---:|{rule}|
{allowed}

Or the other way: tokens that an account must cost at least, by the passes that it gets in its life (in proportion to the
hop price):

| stake | {quota_heads} |
|---|{quota_rule}|
{break_even}

A quota of one a day is {year} in a year: count an account's life, not its day, or let accounts expire. [How many
accounts](#how-many-accounts-pay) a farmer would make is in the details.

## What the caps cost honest users

{offered:,} packets of uniform traffic, one by one: **{refused} refused**; with 95 % confidence fewer than {at_most:.1e} of all. Traffic
that is not uniform:

| | refused |
|---|---:|
{odd}

{popular_note}
A farmer that sends all day, a packet for each honest one, and keeps its own mixes full costs others a second draw at the entry,
where the client draws again at once and loses nothing, and a packet sent again where it happens at a mix. *Spite* does it to others'
mixes at one entry, not for money.

{commons}
{times}
## What is not covered

- An operator that is not the farmer's and takes a bribe: who has a pass can offer the drawn entry half of it. Count whoever would as
  the farmer's stake.
- Relays that register in the middle of a term can see their layer before they pay for it.
- Next hops that a farmer makes unreachable raise the caps of the rest; here all are up. Each packet is of its epoch's key; the
  minutes in which the last epoch's keys still serve have meters of their own.
- A fake user that only wants to burn your budget: the furthest link pays for the gap before it (1,024 ticks at most), so 16
  packets spend a pass. Nobody but the drawn entry gains.
- Several farmers, gas, and the farmer's bandwidth: some {bytes:.0f} MB for a pass that others carry.
- Mailbox passes: all that is simulated is entry passes.

## How it was found

`make abuse` simulates it and writes `reports/abuse.json`; `make abuse WRITE=1` writes this page and its picture too; `SEED=7` draws
another market. All figures here are that program's: {relays:,} relays in a registry's snapshot, layers and next hops as relays and
clients compute them, passes really signed and drawn, caps by the meters that run in the relays; {seconds:.0f} s of one core. Honest
traffic is drawn as rounded normal numbers where millions are, and the farm's packets are reckoned at each relay's cap at the epoch's
end; {checked} relays were sent the same packets one by one: {agreed} agree to two packets a hop.

{detail}"""


def lines(about: Mapping[str, Any]) -> Iterator[str]:
    """The report, to be read."""
    for scheme, text in (SCHEMES | WHAT_IF).items():
        for one in about["takes"]:
            if one["scheme"] == scheme:
                yield (
                    f"({scheme}) {text:<24}{percent(one['stake']):>6} of the stake  {one['scenario']:<29}"
                    f"{100 * one['share']:>7.2f} % of the pull {one['tokens_per_1000_passes']:>8.2f} tokens for 1,000 passes"
                )
    for stake, part in about["prices"]["shares"].items():
        cost = price.break_even(part, 1)
        yield f"{percent(float(stake))} of the stake: an account with one pass stops paying at {cost:.4f} tokens"
    yield from _work_and_times(about)
    honest = about["honest"]
    yield f"uniform packets refused: {honest['refused']} of {honest['offered']:,}, at most {honest['at_most']:.1e}"
    for one in about["claims"]:
        yield ": ".join(filter(None, ("holds" if one["holds"] else "DOES NOT HOLD", one["claim"], one["figure"])))


def _work_and_times(about: Mapping[str, Any]) -> Iterator[str]:
    work = about["prices"]["work"]
    yield f"an attempt of work: {1000 * work['attempt_seconds']:.2f} ms of this core"
    for machine in work["machines"]:
        yield (
            f"work, {machine['name']}: farming stops paying at {machine['stops_at']:.1e} attempts, "
            f"{machine['core_seconds']:,.0f} s of an honest user's core"
        )
    users, epochs = about["scale"]["timed"], about["scale"]["epochs"]
    for one in about["times"]:
        yield (
            f"times, passes {one['habit']}: {100 * one['right']:.2f} % matched to their issue, "
            f"{100 * one['chance']:.2f} % by chance ({users:,} users, {epochs} epochs)"
        )


def render(about: Mapping[str, Any]) -> str:
    """The page of a report."""
    stakes = [float(stake) for stake in about["prices"]["shares"]]
    checks = about["checks"]
    best = worst(about, CAPPED)
    return _TEXT.format(
        relays=about["scale"]["relays"],
        seconds=about["seconds"],
        ticks=about["ticks"],
        pull=price.PULL,
        worth=price.tokens(price.PULL),
        hop_price=price.tokens(1),
        least=percent(best[0]["stake"]),
        least_share=100 * best[0]["share"],
        most=percent(best[-1]["stake"]),
        most_share=100 * best[-1]["share"],
        heads=" | ".join(map(percent, stakes)),
        rule=rule(len(stakes)),
        takes=table(
            (f"({scheme}) {text}", *map(share, worst(about, scheme))) for scheme, text in SCHEMES.items()
        ),
        tokens=" | ".join(f"{one['tokens_per_pass']:.3f}" for one in best),
        checked=len(checks),
        agreed=sum(one["holds"] for one in checks),
        bytes=about["ticks"] * 2_600 / 1e6,
        commons=commons(about["prices"]["work"]),
        times=times(about),
        detail=detail(about),
        **_advice(about["prices"], stakes),
        **_honest(about["honest"]),
    )


def _advice(found: Mapping[str, Any], stakes: list[float]) -> dict[str, Any]:
    needed = {(one["stake"], one["quota"]): one["tokens"] for one in found["break_even"]}
    default = str(PRODUCTION.hop_price)
    return {
        "allowed": table(
            (f"{one['account']:g}", *(f"{one[str(stake)]:,}" for stake in stakes)) for one in found["most_passes"]
        ),
        "quota_heads": " | ".join("1 pass" if quota == 1 else f"{quota} passes" for quota in price.QUOTAS),
        "quota_rule": rule(len(price.QUOTAS)),
        "break_even": table(
            (percent(stake), *(f"{needed[stake, quota][default]:.3g}" for quota in price.QUOTAS)) for stake in stakes
        ),
        "year": max(price.QUOTAS),
    }


def _honest(found: Mapping[str, Any]) -> dict[str, Any]:
    odd = [(f"one mailbox receives {percent(float(part))} of all packets", one) for part, one in found["popular"].items()]
    odd += [(f"a farmer with {percent(float(s))} of the stake keeps its mixes full", one) for s, one in found["beside"].items()]
    odd.append(("spite: fake packets, as many as honest ones, keep others' mixes full", found["spite"]))
    hurt = [one["share"] for one in found["popular"].values() if one["refused"]]
    return {
        "offered": found["offered"],
        "refused": found["refused"],
        "at_most": found["at_most"],
        "odd": table((text, f"{100 * one['share']:.2f} %") for text, one in odd),
        "popular_note": (
            "**A mailbox that receives some percent of all packets meets the caps**: few mixes of layer 3 serve it, and the caps\n"
            "expect them to get no more than the others. Services should have several mailboxes, at several relays."
            if hurt
            else "A popular mailbox costs nobody anything here."
        ),
    }
