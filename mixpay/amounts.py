"""Money and moments as people write them: decimal tokens or ether, dates; inside, whole units and seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext

from mixpay.errors import UserError
from mixpay.parameters import TOKEN

_DECIMALS = 18
_LIMIT = 1 << 96


def shown(amount: int, unit: int = TOKEN) -> str:
    """An amount of smallest units in tokens or ether, or in another `unit` (a power of ten), exact.

    No needless zeros.
    """
    whole, rest = divmod(abs(amount), unit)
    fraction = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def parse(text: str) -> int:
    """Read an amount: not negative, at most 18 decimals, below 2^96 smallest units. Raises UserError."""
    try:
        with localcontext(prec=64):
            amount = Decimal(text) * TOKEN
        whole = int(amount)
    except (InvalidOperation, OverflowError, ValueError):
        raise UserError(f"{text!r} is not an amount") from None
    if whole != amount or not 0 <= whole < _LIMIT:
        raise UserError(f"{text!r} is not an amount of 0 or more with at most {_DECIMALS} decimals")
    return whole


def moment(seconds: int) -> str:
    """A moment of chain time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
