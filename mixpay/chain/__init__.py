"""The edge to the chain: reading and following it, sending transactions, deploying, a chain for development.

Everything here blocks; asyncio programs call it through `asyncio.to_thread`.
"""
