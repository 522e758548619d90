"""A packet's way through a relay, between the links (docs/design.md §12).

desk.py         every frame to the right call, every answer to the right link
router.py       what happens to a packet between arrival and departure
arrivals.py     from its link to the mixer, or its mailbox
opening.py      how it is opened; by processes of their own: worker.py, workers.py
flows.py        how much goes to one next hop
books.py        the channel books it is booked in, and their rows on disk
cut_off.py      since when a peer is cut off
mixer.py        keeps it until its time has come: pure
submissions.py  clients' packets that wait for their first mix's ack
"""
