"""The sponsor's issuer: signs passes for users, and turns what entry relays hand in into pool vouchers.

api.py        what is asked and answered over HTTP (JSON); clients and relays use these types too
policy.py     who gets a pass, and how many
keys.py       blind-signing keys: made ahead, deleted after their period
registrar.py  registers them on the chain
store.py      counts, credits and vouchers on disk; nothing that links a pass to its issue
issuer.py     the rules of signing and redeeming, without HTTP and without the chain
service.py    HTTP around the issuer
remote.py     the other end of it: how users and relays ask
config.py     a sponsor's folder and settings
campaigns.py  create and fund a campaign, take its money back
app.py        the running service: chain, keys, HTTP

What the sponsor is told:

movements.py        what moved the budget, from the pool's events    campaign_reader.py   read from the chain
tallies.py          sums over the database                           facts.py             both, together
report.py           all figures: pure                                report_text.py       as text, as JSON
invoice.py          payments as CSV                                  metrics.py           for Prometheus
accountant.py       makes reports                                    admin.py             HTTP on loopback
refusals.py         what was refused
"""
