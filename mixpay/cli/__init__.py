"""The command `mixpay`.

main.py         the group of commands
init.py         init, which loads little
user.py         address, receive
sponsor.py      sponsor: create and fund a campaign, serve passes
demo.py         demo: the whole loop on a chain of its own
devnet.py       devnet: the same network, until Ctrl-C
faucet.py       money of a devnet for your accounts
local_chain.py  which program demo and devnet take for the chain
amounts.py      tokens as an argument
common.py       options, passwords, results, exit statuses
"""
