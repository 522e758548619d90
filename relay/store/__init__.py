"""The relay's disk: SQLite, one writer, many changes to a commit.

    relay.py    what the relay's cores want kept, and what they are rebuilt from
    changes.py  what one step changes, joined
    engine.py   the one writer: group commit, and what follows a commit
    ops.py      changes as values, and the net effect of many
    tables.py   what is kept; how old files become new ones
    files.py    opening a file: locked, sound, ours, of a known version
    sql.py      the statements
    copies.py   a copy for a backup, while the writer writes; whether a file is sound

What was promised to a peer is on disk before it is promised (docs/design.md §12).
"""

from relay.store.changes import Changes, IssuedTickets
from relay.store.engine import Store, StoreFailed, StoreLimits, StoreStats
from relay.store.ops import Add, Append, Delete, DeleteRange, Put, StoreOp
from relay.store.relay import (
    RelayStore,
    StoredPoolVoucher,
    flows_op,
    forget_epoch_ops,
    forget_pass_key_op,
    forget_pass_ops,
    forget_proof_op,
    forget_setting_op,
    key_op,
    mailbox_ops,
    pass_key_op,
    pass_op,
    pool_voucher_op,
    proof_op,
    role_op,
    setting_op,
    tick_op,
)

__all__ = [
    "Add",
    "Append",
    "Changes",
    "Delete",
    "DeleteRange",
    "IssuedTickets",
    "Put",
    "RelayStore",
    "Store",
    "StoreFailed",
    "StoreLimits",
    "StoreOp",
    "StoreStats",
    "StoredPoolVoucher",
    "flows_op",
    "forget_epoch_ops",
    "forget_pass_key_op",
    "forget_pass_ops",
    "forget_proof_op",
    "forget_setting_op",
    "key_op",
    "mailbox_ops",
    "pass_key_op",
    "pass_op",
    "pool_voucher_op",
    "proof_op",
    "role_op",
    "setting_op",
    "tick_op",
]
