"""A dApp whose users send for free; see README.md."""
