"""The Mixpay relay daemon. It imports `mixpay`, never the other way.

Where a packet goes:  links/ (from a relay) or clients/ (from a client)  ▶  path/  ▶  links/

    path/      the packet's way: peeled, booked, mixed, sent on; and the channel books it is booked in
    links/     TLS connections to and from other relays
    clients/   the HTTPS port for clients: packets up, dummies and deliveries down, mailboxes
    keys/      packet keys, ours and other relays'; who signed two for one epoch is reported
    store/     what is promised, on disk
    redeem/    passes become vouchers, at their issuers or at the pool
    treasury/  vouchers become money: channels, claims, sweeps
    court/     batches that payers do not settle, and cases against us
    backup/    the folder in one file, and back
    operator/  what an operator sees and does: HTTP interface, status, registration
    cli/       `mixpay-relay`

    assembly.py   one relay in one release: all parts, connected   daemon.py  the same at work
    supervisor.py  a daemon for each release
    chainside.py  what follows from the chain's time and state     moneyside.py   what we owe and are owed
    state.py   what is known of the network         config.py, home.py  what the operator chose; its files
"""
