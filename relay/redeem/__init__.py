"""Passes of periods that are over become vouchers, or at the pool itself money.

redeemer.py          the whole way of a period, in order
rules.py             when, where, and which are worth gas: pure
dues.py              what is due and what was paid, on disk
issuer_desk.py       hands passes in at issuers, checks their vouchers
issuers.py           the way to them            campaign_issuers.py  which is whose
chain.py             the pool itself, when an issuer does not pay in full
pool_view.py         what the pool is asked, and sent
"""
