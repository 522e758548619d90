"""Amounts on the command line."""

from __future__ import annotations

import click

from mixpay import amounts
from mixpay.errors import UserError
from mixpay.types import Amount


class Tokens(click.ParamType[Amount]):
    """A decimal number of tokens, as the smallest unit."""

    name = "tokens"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Amount:
        """Raises click's error for what is no amount, is not positive, or has over 18 decimals."""
        if isinstance(value, int):
            return Amount(value)
        try:
            amount = amounts.parse(str(value))
        except UserError as error:
            self.fail(str(error), param, ctx)
        if amount == 0:
            self.fail(f"{value} must be above 0", param, ctx)
        return Amount(amount)


TOKENS = Tokens()
