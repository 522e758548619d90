"""docs/abuse.md, made from reports/abuse.json by `make abuse WRITE=1`; and the same in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from abuse import price
from abuse.findings import CAPPED, CHOSEN, DRAWN, EACH_PASS, SCHEMES, WHAT_IF
from abuse.money import PLACES
from mixpay.passes.terms import TICKS

_TEXT = """# What a farmer of passes can take, and what stops it

For sponsors. `make abuse` simulates it and writes `reports/abuse.json`; `make abuse WRITE=1` writes this page and its picture
too; `SEED=7` draws another market. All figures here are that program's: {relays:,} relays in a registry's snapshot, layers and next
hops as relays and clients compute them, passes really signed and drawn, caps by the meters that run in the relays.
It took {seconds:.0f} s of one core.

## What a farmer is

Your campaign pays relays for carrying your users' packets. Somebody who runs relays can make up users: they get passes from you like
everybody, send packets to nobody, and the relays are paid. A pass pays for {ticks:,} packets, five hop prices each: **{pull:,} hop
prices, {worth:g} token** at the default price of {hop_price:g} token for a hop. This is what a farmer is after.

A fake packet need not be carried. The first of the farmer's relays on its path keeps everything that it was handed: five hop
prices, if it is the entry; four, if it is the first mix, for the entry before it earned one; one, if it is only the mailbox.
Other relays on the way earn their hop price, and really work for it.

## What it takes

In % of what its passes can pull from the pool, under
(a) an entry that the user chooses, (b) an entry that is drawn, without flow caps, (c) a drawn entry and flow caps, which is what
Mixpay does. The farmer plays its best: it sends when most is allowed, through its own relays wherever it may, never throws a
pass away, and has its users' mailboxes at home. *Thin*: a user for each relay; *busy*: a hundred.

| | {heads} |
|---|{rule}|
{takes}

![Money taken against stake](abuse.png)

The draw of its passes moves these by {wobble:.1f} points at most (95 %). In tokens for 1,000 passes:

| | {heads} |
|---|{rule}|
{tokens}

To the hop price, for 1,000 passes, under (c), {scenario}; what left the pool is what all relays have:

| stake | left the pool | the farmer has | others earned | {places} |
|---|---:|---:|---:|{place_rule}|
{accounts}

The last columns are the farmer's part by where its first relay stood.

## What one would expect, and what is so

| | | |
|---|---|---|
{claims}

{verdict}

All that its relays earn, honest traffic included, in multiples of their share of all that the pool pays:

| | {heads} |
|---|{rule}|
{income}

Two changes, simulated: (m) a path pays four hops, and mailboxes are paid only by passes that draw them (docs/design.md §8, kind 2); in %
of what four hops are worth. (d) An entry counts each pass by itself, too, with the same kind of meter, so that the room which many honest
users leave is not one pass's; mixes cannot, for they see no passes.

| | {heads} |
|---|{rule}|
{mended}

What remains true without any "about": nobody takes more than `relayCap` a relay, `periodCap` an epoch and the budget, whatever
it farms; and a pass is worth {worth:g} token at most. Those and the quota are what a budget rests on.

## Advice: what to ask for an account

An account stops paying at *passes it gets in its whole life × what a farmer takes of one*. Largest take of each farmer under (c), over
all scenarios: {shares}. So an account has to cost an attacker at least, in tokens:

| stake | passes in its life | {hop_heads} |
|---|---:|{hop_rule}|
{break_even}

Or the other way: if an account costs your attacker so much, allow at most so many passes in its life (default hop price; 0: even one
pays):

| an account costs | {heads} |
|---:|{rule}|
{most}

A quota of one a day is {year} in a year: count an account's life, not its day, or let accounts expire. If you do not know how much stake an
attacker has, take the column on the right. How many accounts pay, beside {users:,} honest users, each with one pass, of the numbers
that were simulated:

| an account costs | {heads} |
|---:|{rule}|
{volumes}

## The commons: passes for a proof of work

A pass that takes 2^bits attempts costs 2^bits ÷ (attempts an hour) × (price of the hour). Assumed, and yours to replace: {machines};
a token at ${token:g}.

| | stops the largest farmer at | {bit_heads} |
|---|---:|{bit_rule}|
{work}

Dollars for a pass; a packet's worth of abuse is a {ticks:,}th of it, at the difficulty that stops the largest farmer {packet}.
There one core works {hours:.1f} hours for a pass, and a user's
phone longer. So work cannot make a pass dearer for a farmer than for a user: let it limit the rate, and the period's cap the loss.

## What the caps cost honest users

{offered:,} packets of uniform traffic, one by one: **{refused} refused**; with 95 % confidence fewer than {at_most:.1e} of all.

| packets | offered | refused | at most (95 %) |
|---|---:|---:|---:|
{uniform}

Traffic that is not uniform:

| | refused |
|---|---:|
{odd}

{popular_note} A farmer that sends all day, a packet for each honest one, and keeps its own mixes full costs others a
second draw at the entry, and a packet sent again where it happens at a mix; *spite* does it to others' mixes at one entry, not for money.
At an entry the client draws again at once, and nothing is lost, but the draw is not uniform any more.

## What is not covered

- An operator that is not the farmer's and takes a bribe: who has a pass can offer the drawn entry half of it. Count whoever would as the
  farmer's stake.
- Relays that register in the middle of a term can see their layer before they pay for it.
- Next hops that a farmer makes unreachable raise the caps of the rest; here all are up. Each packet is of its
  epoch's key; the minutes in which the last epoch's keys still serve have meters of their own.
- A fake user that only wants to burn your budget: the furthest link pays for the gap before it (1,024 ticks at most), so 16 packets
  spend a pass. Nobody but the drawn entry gains.
- Honest traffic is drawn as rounded normal numbers where millions are, and the farm's packets are reckoned at each relay's cap at the
  epoch's end; {checked} relays were sent the same packets one by one: {agreed} agree to two packets a hop.
- Several farmers, gas, and the farmer's bandwidth: some {bytes:.0f} MB for a pass that others carry.
"""


def lines(about: Mapping[str, Any]) -> Iterator[str]:
    """The report, to be read."""
    for scheme, text in (SCHEMES | WHAT_IF).items():
        for one in about["takes"]:
            if one["scheme"] == scheme:
                yield (
                    f"({scheme}) {text:<24}{_percent(one['stake']):>6} of the stake  {one['scenario']:<29}"
                    f"{100 * one['share']:>7.2f} % of the pull {one['tokens_per_1000_passes']:>8.2f} tokens for 1,000 passes"
                )
    for stake, part in about["prices"]["shares"].items():
        cost = price.break_even(part, 1)
        yield f"{_percent(float(stake))} of the stake: an account with one pass stops paying at {cost:.4f} tokens"
    honest = about["honest"]
    yield f"uniform packets refused: {honest['refused']} of {honest['offered']:,}, at most {honest['at_most']:.1e}"
    for one in about["claims"]:
        yield f"{'holds' if one['holds'] else 'DOES NOT HOLD'}: {one['claim']}{_figure(one)}"


def render(about: Mapping[str, Any]) -> str:
    """The page of a report."""
    stakes = [float(stake) for stake in about["prices"]["shares"]]
    capped = [one for one in about["takes"] if one["scheme"] == CAPPED]
    checks = about["checks"]
    agreed = sum(abs(one["bulk"] - one["one_by_one"]) <= 2 * one["hops"] for one in checks)
    return _TEXT.format(
        relays=about["scale"]["relays"],
        seconds=about["seconds"],
        ticks=about["ticks"],
        pull=price.PULL,
        worth=price.tokens(price.PULL),
        hop_price=price.tokens(1),
        heads=" | ".join(_percent(stake) for stake in stakes),
        rule="|".join("---:" for _ in stakes),
        takes=_by_scheme(about, lambda one: f"{100 * one['share']:.1f}"),
        income=_by_scheme(about, lambda one: f"{one['income_over_stake']:.2f}", bounded=True),
        mended=_mended(about),
        tokens=_by_scheme(about, lambda one: f"{one['tokens_per_1000_passes']:.2f}"),
        wobble=100 * max(one["by_the_draw"] for one in capped),
        scenario=capped[-1]["scenario"],
        places=" | ".join(PLACES[:-1]),
        place_rule="|".join("---:" for _ in PLACES[:-1]),
        accounts="\n".join(_account(one) for one in capped if one["scenario"] == capped[-1]["scenario"]),
        claims="\n".join(_claim(one) for one in about["claims"]),
        verdict=_verdict(capped),
        offered=about["honest"]["offered"],
        refused=about["honest"]["refused"],
        at_most=about["honest"]["at_most"],
        **_advice(about["prices"], capped, stakes),
        **_honest(about["honest"]),
        checked=len(checks),
        agreed=agreed,
        bytes=about["ticks"] * 2_600 / 1e6,
    )


def _percent(part: float) -> str:
    return f"{100 * part:g} %"


def _figure(one: Mapping[str, Any]) -> str:
    if one["figure"] is None:
        return ""
    return f": {one['figure']:.1f} ×" if one["figure"] > 0.1 else f": at most {one['figure']:.1e}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


Cell = Callable[[Mapping[str, Any]], str]


def _by_scheme(about: Mapping[str, Any], cell: Cell, *, bounded: bool = False) -> str:
    """(a) and (b) in the last scenario, for no other traffic matters to them; (c) in each, or alone."""
    scenarios = _scenarios(about)
    wanted = [] if bounded else [(CHOSEN, scenarios[-1]), (DRAWN, scenarios[-1])]
    wanted += [(CAPPED, name) for name in scenarios]
    return _table(
        (
            f"({scheme}) {SCHEMES[scheme]}" + (f"; {name}" if scheme == CAPPED else ""),
            *_cells(about, scheme, name, cell),
        )
        for scheme, name in wanted
    )


def _mended(about: Mapping[str, Any]) -> str:
    """(c) as it is, and each change."""
    ways: list[tuple[str, str, Cell]] = [
        ("(c)", CAPPED, lambda one: f"{100 * one['share']:.1f}"),
        ("(c, m)", CAPPED, lambda one: f"{100 * one['share_without_mailbox']:.1f}"),
        ("(d)", EACH_PASS, lambda one: f"{100 * one['share']:.1f}"),
        ("(d, m)", EACH_PASS, lambda one: f"{100 * one['share_without_mailbox']:.1f}"),
    ]
    return _table(
        (f"{text}; {name}", *_cells(about, scheme, name, cell))
        for name in _extremes(about)
        for text, scheme, cell in ways
    )


def _extremes(about: Mapping[str, Any]) -> list[str]:
    """Of the scenarios, that with the fewest fakes among many, and the last."""
    all_of_them = about["scale"]["scenarios"]
    few = min(all_of_them, key=lambda one: (-one["honest"], one["fakes"]))
    return [few["name"], all_of_them[-1]["name"]] if few is not all_of_them[-1] else [few["name"]]


def _scenarios(about: Mapping[str, Any]) -> list[str]:
    return [one["name"] for one in about["scale"]["scenarios"]]


def _cells(about: Mapping[str, Any], scheme: str, scenario: str, cell: Cell) -> Iterator[str]:
    for one in about["takes"]:
        if (one["scheme"], one["scenario"]) == (scheme, scenario):
            yield cell(one)


def _account(one: Mapping[str, Any]) -> str:
    thousand = 1000 / one["passes"]
    numbers = [one["pool"], one["farmer"], one["others"], *one["by_place"].values()]
    return f"| {_percent(one['stake'])} | {' | '.join(f'{number * thousand:,.0f}' for number in numbers)} |"


def _claim(one: Mapping[str, Any]) -> str:
    return f"| {one['claim']} | {'holds' if one['holds'] else '**does not hold**'} | {_figure(one)[2:]} |"


def _verdict(capped: list[Mapping[str, Any]]) -> str:
    """Why a farmer has more than its share, in figures, or that it has not."""
    small = capped[-len({one["stake"] for one in capped})]
    if max(one["over_stake"] for one in capped) < 2:
        return "A farmer's part of its passes is about its part of the stake."
    return (
        "A farmer gets several times its share, for three reasons:\n\n"
        "- *The mailbox.* It is the receiver's choice, so fake packets end at one of the farmer's, and bring a fifth of their price\n"
        f"  whatever the stake: {_percent(small['stake'])} of the stake takes {100 * small['share']:.1f} % of its passes, "
        f"{100 * small['by_place']['mailbox'] / small['pool']:.1f} points of it so ({small['scenario']}).\n"
        "- *The first of its relays keeps the rest.* Caps that were exact would still leave a small farmer (5 + 4 + 3 + 2) hop prices × its\n"
        "  share, and not 5 ×.\n"
        "- *The caps bound what a relay sends to another, not what a pass does.* What they leave free above the share (a quarter, and eight\n"
        "  deviations) is one farmer's if there is but one. So few fake passes beside much honest traffic bring nearly what they bring without\n"
        "  caps; only many of them bring less each."
    )


def _advice(found: Mapping[str, Any], capped: list[Mapping[str, Any]], stakes: list[float]) -> dict[str, Any]:
    hops = [f"p = {price.tokens(1, hop):g}" for hop in price.HOP_PRICES]
    stop = found["work"][0]
    return {
        "shares": ", ".join(f"{100 * part:.0f} % at {_percent(float(s))}" for s, part in found["shares"].items()),
        "hop_heads": " | ".join(hops),
        "hop_rule": "|".join("---:" for _ in hops),
        "break_even": _table(
            (_percent(one["stake"]), str(one["quota"]), *(f"{cost:.3g}" for cost in one["tokens"].values()))
            for one in found["break_even"]
        ),
        "most": _table(
            (f"{one['account']:g}", *(f"{one[str(stake)]:,}" for stake in stakes)) for one in found["most_passes"]
        ),
        "year": max(price.QUOTAS),
        "users": max(one["users"] for one in capped),
        "volumes": _table(
            (f"{account:g}", *(_volume(found["volumes"], stake, account) for stake in stakes))
            for account in price.ACCOUNTS
        ),
        "machines": "; ".join(
            f"{one['name']}, ${one['hour']:g} an hour, {one['attempts']:.0e} SHA-256 a second" for one in found["work"]
        ),
        "token": price.TOKEN_PRICE,
        "bit_heads": " | ".join(f"{bits} bits" for bits in price.BITS),
        "bit_rule": "|".join("---:" for _ in price.BITS),
        "work": _table(
            (one["name"], f"{one['stops_at_bits']} bits", *(f"{cost:.1e}" for cost in one["pass"].values()))
            for one in found["work"]
        ),
        "hours": 2 ** stop["stops_at_bits"] / stop["attempts"] / price.SECONDS,
        "packet": f"${found['shares'][str(stakes[-1])] * price.tokens(price.PULL) * stop['token_price'] / TICKS:.1e}",
    }


def _volume(found: list[Mapping[str, Any]], stake: float, account: float) -> str:
    one = next(one for one in found if (one["stake"], one["account"]) == (stake, account))
    return f"{one['passes']:,}: takes {one['tokens']:,.0f}, keeps {one['profit']:,.0f}" if one["passes"] else "none"


def _honest(found: Mapping[str, Any]) -> dict[str, Any]:
    odd = [(f"one mailbox receives {_percent(float(part))} of all packets", one) for part, one in found["popular"].items()]
    odd += [(f"a farmer with {_percent(float(s))} of the stake keeps its mixes full", one) for s, one in found["beside"].items()]
    odd.append(("spite: fake packets, as many as honest ones, keep others' mixes full", found["spite"]))
    hurt = [one["share"] for one in found["popular"].values() if one["refused"]]
    return {
        "uniform": _table(
            (name, f"{one['offered']:,}", str(one["refused"]), f"{one['at_most']:.1e}")
            for name, one in found["uniform"].items()
        ),
        "odd": _table((text, f"{100 * one['share']:.2f} %") for text, one in odd),
        "popular_note": (
            "**A mailbox that receives some percent of all packets meets the caps**: few mixes of layer 3 serve it, and the caps "
            "expect them to get no more than the others. Services should have several mailboxes, at several relays."
            if hurt
            else "A popular mailbox costs nobody anything here."
        ),
    }
