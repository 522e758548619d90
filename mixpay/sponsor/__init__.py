"""The sponsor's issuer: signs passes for users, and turns what entry relays hand in into pool vouchers.

api.py        what is asked and answered over HTTP (JSON); clients and relays use these types too
policy.py     who gets a pass, and how many
keys.py       blind-signing keys: made ahead, deleted after their period
registrar.py  registers them on the chain
store/        counts, keys, credits and vouchers in a database; nothing that links a pass to its issue
rules.py      which campaign, and how a request is refused
issuer.py     the rules of signing, without HTTP and without the chain
redeeming.py  the rules of redeeming, likewise
signing.py    gathers requests for signatures into batches
service.py    HTTP around the issuer
remote.py     the other end of it: how users and relays ask
config.py     a sponsor's folder and settings
campaigns.py  create and fund a campaign
app.py        the running service: chain, keys, HTTP
"""
