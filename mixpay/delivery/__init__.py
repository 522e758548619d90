"""End to end: whether a message arrived, and what to send again. Pure: no sockets, no clock, no store.

outgoing.py   the sender's side of one message: which pieces to send now, and when it ends
owed.py       the receiver's side: which messages to acknowledge, and to whom
acks.py       acknowledgements as bytes, and who can have made them
suspects.py   which relays the lost packets have in common
"""
