"""What a packet costs a relay, layer by layer: `make bench`.

    packet.py proof.py hop.py     pure functions: a packet opened, its ticket checked; one hop of it
    path.py                       the relay's data path in one process, without TLS
    book.py store.py link.py      channel books and settlement; the database; links over TLS
    mixer.py                      actual delays against the exponential they should be
    whole.py                      the daemon itself, over real links, under load: rates, overload, memory

    meter.py figures.py           measuring side by side; figures with their goals, and the report
    world.py supply.py peers.py load.py plain.py proc.py     around the daemon: chain, packets, neighbours
    page.py plot.py               docs/bench.md and its picture

Ratios are of one run: what is compared takes turns in short slices, so that a busy machine strikes all alike.
"""
