"""Changing a relay's operator key: a successor is registered with a new key, the old relay leaves.

In the registry a relay has one operator key for ever, and a key one relay, so that no key's descriptors,
vouchers and cases can be taken for another's. A new key is therefore a new relay, with a stake of its own.
The old one leaves and winds up beside it, under its own key, in its own folder, until nothing is left.

    plan.py      where a rotation stands, on disk
    folders.py   the successor's folder, and how files change places
    rotate.py    the steps, each of which may be repeated
"""
