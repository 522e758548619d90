"""Links between relays: TLS connections on which frames flow after both sides have proven their link keys.

    dialer.py       the payer's side: finds the payee, keeps the link up, comes back after a failure
    server.py       the payee's side: takes payers in, one link each
    connection.py   one open connection: frames, bounded queue, keep-alive
    handshake.py    who is there: what is signed and checked before a link opens
    events.py       limits, and what a link tells the relay

No rules of payment here: frames go in and out, and every drop has a reason.
"""

from relay.links.dialer import LinkDialer, PayerLink
from relay.links.events import Link, LinkEvents, LinkLimits
from relay.links.handshake import Identity
from relay.links.server import LinkServer

__all__ = ["Identity", "Link", "LinkDialer", "LinkEvents", "LinkLimits", "LinkServer", "PayerLink"]
