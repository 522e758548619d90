"""What a relay does for clients.

gateway.py       one HTTPS port: packets, directories, descriptors, mailboxes
mailbox_desk.py  owners of mailboxes who come themselves
"""
