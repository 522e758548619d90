"""What a relay does for clients.

gateway.py       one HTTPS port: packets, directories, descriptors, mailboxes
connections.py   how many there are, and how long one may ask nothing
mailbox_desk.py  owners of mailboxes who come themselves
"""
