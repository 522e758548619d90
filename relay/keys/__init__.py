"""Packet keys, one an epoch: ours, and those that other relays signed.

epoch_keys.py     ours, with what belongs to their epochs
key_desk.py       makes, signs, destroys them; never two for one epoch
signed_epochs.py  for which epochs we have signed: a file outside the database
directories.py    who published which key, epoch by epoch
gossip.py         fetches other relays' descriptors, and compares what others were given
reporter.py       brings to the chain who signed two
"""
