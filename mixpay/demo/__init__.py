"""The main job, end to end: a local chain, nine relays, a sponsor, two users without money.

processes.py   operating-system processes, their logs, and their end
network.py     what the demo starts, by the same commands an operator would type
story.py       the steps, in order
verifier.py    recomputes the money from chain logs, signed vouchers and clients' counts alone
report.py      the table, and reports/demo.json
"""
