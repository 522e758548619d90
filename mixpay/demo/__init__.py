"""The main job, end to end: a local chain, nine relays, a sponsor, two users without money.

story.py       what happens, in order
parcel.py      the file that is sent
network.py     chain, sponsor and relays: their beginning, and the claims at the end
chain.py       anvil or ganache, the contracts, a faucet, a clock that can be moved
relays.py      nine operators, by the commands they type
sponsor.py     a sponsor, by the commands it types
users.py       Alice and Bob, by the commands they type
status.py      asking a relay's own interface
processes.py   operating-system processes, their logs, and their end
guard.py       their end if the demo itself is killed
stage.py       showing where the story is

reader.py      what the chain says
money.py       everybody's money, recomputed from events alone
evidence.py    chain, signed vouchers, clients' counts
verifier.py    the judgement
report.py      the table, and reports/demo.json
"""
