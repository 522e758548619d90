"""The sponsor's issuer: signs passes for users, and turns what entry relays hand in into pool vouchers.

api.py       what is asked and answered over HTTP (JSON); clients and relays use these types too
policy.py    who gets a pass, and how many
keys.py      blind-signing keys: made ahead, registered on the chain, deleted after their period
store.py     counts, credits and vouchers on disk; nothing that links a pass to its issue
issuer.py    the rules of signing and redeeming, without HTTP and without the chain
service.py   HTTP around the issuer
app.py       one sponsor's process: configuration, chain, keys, service
"""
