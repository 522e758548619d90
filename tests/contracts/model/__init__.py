"""The contracts once more, in plain Python: the rules of the interfaces, and none of their code.

Amounts are integers, accounts and relays whatever the caller names them by, `now` seconds. What a contract
refuses raises `Refused` with the name of its error.
"""
