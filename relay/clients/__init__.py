"""What a relay does for clients.

gateway.py       one HTTPS port: packets, directories, descriptors, mailboxes
mailbox_desk.py  owners of mailboxes who come themselves
request_desk.py  owners who ask through the network, and are answered by reply blocks
mailbox_tolls.py what either pays
passing.py       replies for clients of this relay, while they are connected
exposure.py      what a campaign's passes are good for here
"""
