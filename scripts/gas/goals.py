"""What each figure is to be at most."""

GOALS = {
    "deposit": 50_000,
    "withdraw": 47_000,
    "fund_open": 53_500,
    "fund_topup": 36_500,
    "claim_first": 61_000,
    "claim_next": 41_000,
    "claim_many10_each": 15_800,
    "request_close": 30_000,
    "finish_close": 35_500,
    "court_open": 95_000,
    "court_finish": 600_000,
    "register": 230_000,
    "update_relay": 122_000,
    "pool_claim": 62_000,
    "redeem_pass": 180_000,
}
