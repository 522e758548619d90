"""Passes of an issuer's rules, signed one at a time in this process."""

from __future__ import annotations

import os

from mixpay.crypto.blind_rsa import blind_sign
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Issuer, IssuerError, Wanted
from mixpay.sponsor.policy import Identified
from mixpay.types import Epoch


def issue(issuer: Issuer, request: api.SignRequest, identified: Identified, epoch: Epoch) -> api.SignAnswer:
    """Count and sign. Raises IssuerError, StoreUnavailable."""
    (admitted,) = issuer.admit([Wanted(request, identified, epoch)])
    if isinstance(admitted, IssuerError):
        raise admitted
    return api.SignAnswer(blind_sign(admitted.key, admitted.blinded, os.urandom), admitted.left)
