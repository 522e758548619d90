"""The main job, end to end: a local chain, nine relays, a sponsor, two users without money.

story.py       what happens, in order
kill.py        the story with a relay that is killed during the transfer
parcel.py      the file that is sent
network.py     chain, sponsor and relays: their beginning, and the claims at the end
chain.py       anvil or ganache, the contracts, a faucet, a clock that can be moved
relays.py      nine operators, by the commands they type
sponsor.py     a sponsor, by the commands it types
users.py       Alice and Bob, by the commands they type
devnet.py      the network without the story, until Ctrl-C (`mixpay devnet`)
guide.py       what that prints: the commands that use it
faucet.py      its money for other accounts (`mixpay faucet`)
status.py      asking a relay's own interface
ground.py      a folder, processes and a chain of their own, and their end
processes.py   operating-system processes, their logs, and their end
fork_server.py starts them, in no time; forks.py asks it to
guard.py       their end if the demo itself is killed; watch.py tells it what there is
stage.py       showing where the story is

reader.py      what the chain says
money.py       everybody's money, recomputed from events alone
evidence.py    chain, signed vouchers, clients' counts
verifier.py    the judgement; losses.py: where packets were lost
report.py      the table, and reports/demo.json
"""
