"""What a farmer of passes can take from a sponsor's pool, and what the flow caps cost others: `make abuse`.

    market.py            a registry of 10,000 relays, its layers, and who owns what
    draws.py             passes, really signed, drawn, spent and redeemed
    load.py caps.py      honest traffic in every relay's meter; these meters, many packets at once
    farm.py              the farmer's best response: entry chosen, entry drawn, entry drawn and flow caps
    onebyone.py          the same at single relays, packet by packet: what the bulk is checked against
    money.py             who has what the pool paid, to the hop price
    honest.py            what others lose to the caps
    price.py work.py     what an account, and a proof of work, has to cost
    timing.py            apart from money: what times tell issuer and entries
    study.py findings.py all of it, and what follows
    page.py commons.py detail.py tables.py plot.py    docs/abuse.md by parts, and its picture

A *farmer* owns relays and makes up users. Its users get passes like anybody, and send nothing to nobody: a
pass is money for the first relay of its own that a packet meets, for of two that collude none has to carry
anything or to pay the other.
"""
