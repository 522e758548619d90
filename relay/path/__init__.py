"""A packet's way through a relay, between the links (docs/design.md §12).

desk.py         every frame to the right call, every answer to the right link
router.py       what happens to a packet between arrival and departure
books.py        the channel books it is booked in, and their rows on disk
mixer.py        keeps it until its time has come: pure
submissions.py  clients' packets that wait for their first mix's ack
"""
