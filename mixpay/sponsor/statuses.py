"""What the issuer's HTTP interface says and bears: the status of each error label, bytes of a body."""

from __future__ import annotations

from mixpay.passes import REDEMPTION_SIZE
from mixpay.sponsor import api

MAX_SIGN_BODY = 1024 + 6 * api.MAX_CREDENTIAL
"""With a credential of the longest, every character of it escaped as JSON escapes some."""

MAX_REDEEM_BODY = api.MAX_BUNDLES * (REDEMPTION_SIZE * 4 // 3 + 16) + 4096

STATUS = {
    "malformed": 400,
    "policy_required": 400,
    "identity_required": 401,
    "identity_refused": 403,
    "not_found": 404,
    "policy_unknown": 404,
    "unknown_relay": 404,
    "no_campaign": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "wrong_period": 409,
    "no_key": 409,
    "period_open": 409,
    "claim_window_over": 410,
    "too_large": 413,
    "quota_exceeded": 429,
    "share_exceeded": 429,
    "too_fast": 429,
    "internal": 500,
    "paused": 503,
    "busy": 503,
    "policy_unavailable": 503,
    "chain_unavailable": 503,
}
"""HTTP status of each label."""
