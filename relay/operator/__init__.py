"""What an operator, and the owner of its stake, see and do.

api.py           the HTTP interface, on loopback        api_client.py   the command line's side of it
answers.py       what it answers, as types              operations.py   made from the daemon's parts
report.py        what a relay says about itself: pure   status_text.py  the same as text
dues.py          why an amount is not paid yet: pure    agenda.py       what comes next, and when: pure
prospects.py     what both need, from the daemon's parts
peer_notes.py    why a peer's tickets are refused, and what ends it: pure
gauge_table.py   figures for Prometheus: pure           gauges.py       read from the daemon's parts
earnings.py      the money's bookings, from the chain's events: pure
earnings_reader.py  reads them         earnings_text.py  CSV, and sums
registration.py  stake, register, equip, leave, withdraw
releases.py      in which release an owner's command works
"""
