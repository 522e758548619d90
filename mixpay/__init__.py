"""Mixpay: the incentive layer of a private messaging network, as a library."""

__version__ = "0.1.0"
