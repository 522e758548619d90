"""What goes over the wires: the codec, the frames between relays, the messages between a client and its
entry.

Codec only: no sockets, no rules. A value object encodes to exactly one byte string and is decoded from no
other.
"""

WIRE_VERSION = 1
"""Version of everything in this package; `Network` publishes the one in force (u16)."""
