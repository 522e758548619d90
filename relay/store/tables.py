"""What a relay keeps on disk, and how its file grew into that."""

from __future__ import annotations

from relay.store.ops import Table

BOOKS = Table("books", ("side", "peer", "kind", "number", "place"))
"""Rows of the channel books (`mixpay.book.rows`); of kinds that are appended, all of one commit in one."""

TAGS = Table("tags", ("epoch", "tag"))
"""Replay tags by key epoch, 16 bytes each: `data` has those of one commit, and `tag` is the first of them."""

PACKET_KEYS = Table("packet_keys", ("epoch",))
"""Secret packet keys, X25519, 32 bytes."""

PASSES = Table("passes", ("pass_id",))
"""Passes shown to this relay, as they encode themselves."""

TICKS = Table("ticks", ("pass_id",))
"""The furthest tick of each: number u16, link 32 bytes."""

MAILBOXES = Table("mailboxes", ("mailbox_id",))
"""Fetch key 32 bytes, expires u64, first u64, id of the pass that pays 32 bytes (or nothing: none does)."""

MESSAGES = Table("messages", ("mailbox_id", "sequence"))
"""Hour of its end u64, body."""

POOL_VOUCHERS = Table("pool_vouchers", ("campaign",))
"""The newest voucher of a campaign: period u32, cumulative u96, signature 65 bytes."""

SETTINGS = Table("settings", ("name",))
"""Whatever else a part of the daemon keeps, under a name of its own."""

EQUIVOCATIONS = Table("equivocations", ("relay",))
"""Proofs that the chain does not have yet (`mixpay/descriptors.py`)."""

TABLES = (
    BOOKS,
    TAGS,
    PACKET_KEYS,
    PASSES,
    TICKS,
    MAILBOXES,
    MESSAGES,
    POOL_VOUCHERS,
    SETTINGS,
    EQUIVOCATIONS,
)

COUNTERS = "counters"
"""Table of numbers by name, which `Add` raises."""

MIGRATIONS = (
    """
    CREATE TABLE books (
        side INTEGER NOT NULL, peer INTEGER NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL,
        place INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (side, peer, kind, number, place)
    ) WITHOUT ROWID;
    CREATE TABLE tags (
        epoch INTEGER NOT NULL, tag BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (epoch, tag)
    ) WITHOUT ROWID;
    CREATE TABLE packet_keys (epoch INTEGER PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE passes (pass_id BLOB PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE ticks (pass_id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE mailboxes (mailbox_id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE messages (
        mailbox_id BLOB NOT NULL, sequence INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (mailbox_id, sequence)
    );
    CREATE TABLE pool_vouchers (campaign INTEGER PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE settings (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    """,
    "CREATE TABLE equivocations (relay INTEGER PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
    "SELECT 1",  # rows of books hold tickets in short, and many issued ones: to earlier releases, damage
    "SELECT 1",  # rows of mailboxes say which pass pays: to earlier releases, damage
)
"""Step n brings a file from `user_version` n to n + 1. Steps that were released are never changed."""
