"""What a network does when things go wrong: `make chaos`.

Real processes, real sockets, a real chain. First relays are killed at random, again and again, while packets
are under way and batches are being settled; then come the scenarios, one fault each.

    world.py      a network that settles all the time, and what is done to it
    users.py      who send all the time, and note what they were promised in ledger.py; traffic.py runs them
    kills.py      the campaign: kill, look, start again; in between settle, and judge
    stores.py     what a relay has on its disk
    promises.py   what others hold of a dead relay against what it has on its disk. Pure
    judge.py      what must hold when all is settled (docs/design.md §14: I7, I8, I9). Pure
    report.py     reports/chaos.json, and a line for each kill
    scenario.py   what a scenario is             scenarios/    all of them

A process that is killed loses what it had in memory and nothing else: what happens when the power fails, is
for the disk to say and not tested here.
"""
