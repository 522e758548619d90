"""What the issuer keeps: counts of issues, its keys, credited passes, vouchers. SQLite, or PostgreSQL.

place.py       which database: a file, or a server's address, whose password never shows
engine.py      connections and transactions, the same for both; trouble with the database
tables.py      the tables as they are now
migrate.py     brings an older database up to date; several instances may start at once
migrations/    the steps (Alembic)
records.py     what goes in and comes out
counting.py    passes counted against quotas, a batch in one transaction
settling.py    credits and vouchers, one at a time in a campaign
sums.py        what the sponsor is told
store.py       one campaign's database

Several instances may serve one campaign on one database. Nothing in it links a pass to its issue: blinded
messages and blind signatures are never written, identities only as keyed hashes that differ in each period,
and no row has a time. What says that a request was counted is a keyed hash of identity and blinded message.
A blinded message is a uniformly random number whatever pass is in it (for each pass there is exactly one
blinding factor that gives it), so not even whoever has all our keys, and the messages themselves, learns from
it which pass was signed.
"""

from mixpay.sponsor.store.engine import StoreUnavailable
from mixpay.sponsor.store.place import Place
from mixpay.sponsor.store.records import Claim, Counted, Refused, StoredKey, StoredVoucher
from mixpay.sponsor.store.settling import Settlement
from mixpay.sponsor.store.store import Store

__all__ = [
    "Claim",
    "Counted",
    "Place",
    "Refused",
    "Settlement",
    "Store",
    "StoreUnavailable",
    "StoredKey",
    "StoredVoucher",
]
