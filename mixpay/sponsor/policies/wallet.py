"""Policy `wallet`: the owner of an Ethereum account, who signs a message (EIP-4361, EIP-191).

Credential: JSON {"message": "...", "signature": "0x..."}. The message has the form of `mixpay.eip4361` with
the terms of the offer: `domain`, `uri`, `chain_id`, `statement`. Its nonce is made from the blinded message
and what the pass is good for (`mixpay.sponsor.binding`): nothing has to be kept, and a signature that
somebody overhears is good for the pass of its owner only. It is good for ten minutes at most. Accounts of
contracts (EIP-1271) cannot sign.

An account costs nothing, so ask for a balance or an age:

    min_balance       wei on the account now
    min_age_seconds   so long ago, by the chain's clock, it had sent a transaction or (with `min_balance`) had
                      that balance

The past is asked of a node that keeps it: an archive node for ages beyond some minutes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import msgspec

from mixpay import eip4361
from mixpay.chain.past import Past
from mixpay.chain.rpc import Rpc
from mixpay.eip4361 import LoginError, LoginTerms
from mixpay.errors import ChainError, UserError
from mixpay.http import NotJson, read_json
from mixpay.sponsor.binding import login_nonce
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policy import Asked, Identified, PolicyRefusal, Quotas
from mixpay.types import Account

STATEMENT = "Get a Mixpay pass. This sends no transaction and costs nothing."
_THREADS = 4
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}")
_log = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`domain`: host (and port) by which users reach the issuer; `uri`: its URL, https of the domain.

    `chain_id`: of the accounts, 0: the campaign's; `rpc_url`: a node of that chain, "": the sponsor's own.
    """

    domain: str
    uri: str = ""
    statement: str = STATEMENT
    chain_id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)] = 0
    rpc_url: str = ""
    min_balance: Annotated[int, msgspec.Meta(ge=0)] = 0
    min_age_seconds: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 0


class _Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message: str
    signature: str


class Standing:
    """What an account must have, and had to have, on the chain of `rpc`."""

    def __init__(self, rpc: Rpc, min_balance: int, min_age: int) -> None:
        self._rpc, self._min_balance, self._min_age = rpc, min_balance, min_age
        self._past = Past(rpc)

    def suffices(self, account: Account) -> bool:
        """Ask the chain; blocks. Raises ChainError."""
        if self._min_balance and self._rpc.balance(account) < self._min_balance:
            return False
        return not self._min_age or self._is_old(account)

    def _is_old(self, account: Account) -> bool:
        block = self._past.block_before(self._min_age)
        if block is None:  # the chain itself is younger
            return False
        if self._rpc.nonce(account, hex(block)) > 0:
            return True
        return self._min_balance > 0 and self._rpc.balance(account, hex(block)) >= self._min_balance


class WalletPolicy:
    """Owners of accounts. `standing`: None if any account will do."""

    kind = "wallet"

    def __init__(
        self, terms: LoginTerms, standing: Standing | None, quotas: Quotas, name: str = "wallet"
    ) -> None:
        self.quotas, self.name = quotas, name
        self._terms, self._standing = terms, standing
        self._threads = ThreadPoolExecutor(_THREADS, "wallet-policy")

    def terms(self) -> Mapping[str, str]:
        return {
            "domain": self._terms.domain,
            "uri": self._terms.uri,
            "chain_id": str(self._terms.chain_id),
            "statement": self._terms.statement,
        }

    async def identify(self, asked: Asked) -> Identified:
        account = self._signer(asked)
        if self._standing is not None and not await self._suffices(self._standing, account):
            raise PolicyRefusal("identity_refused", "this account is too new or holds too little ether")
        return Identified(self.name, b"account:" + account, self.quotas)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _signer(self, asked: Asked) -> Account:
        if not asked.credential:
            raise PolicyRefusal("identity_required", "sign in with an Ethereum account")
        try:
            shown = read_json(asked.credential.encode("utf-8", "surrogatepass"), _Credential)
        except NotJson:
            detail = "the credential is not {message, signature} in JSON"
            raise PolicyRefusal("identity_refused", detail) from None
        try:
            login = eip4361.parse(shown.message)
            eip4361.check(login, self._terms, login_nonce(asked.scope, asked.blinded), asked.now)
            if not _SIGNATURE.fullmatch(shown.signature):
                raise LoginError("a signature is 0x and 130 hexadecimal digits")
            if eip4361.signer(shown.message, bytes.fromhex(shown.signature[2:])) != login.address:
                raise LoginError("it is signed by another account")
        except LoginError as error:
            raise PolicyRefusal("identity_refused", f"the signed message will not do: {error}") from None
        return login.address

    async def _suffices(self, standing: Standing, account: Account) -> bool:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, standing.suffices, account)
        except ChainError as error:
            _log.warning(
                "the policy %s cannot look at accounts: %s; min_age_seconds needs a node that keeps the "
                "state of that time (an archive node, for more than some minutes)",
                self.name,
                error,
            )
            raise PolicyRefusal("policy_unavailable", "accounts cannot be looked at now; try again") from None


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> WalletPolicy:
    """From the settings.

    Raises UserError for what cannot stand in a message, or a node of another chain; ChainError.
    """
    chain_id = settings.chain_id or around.chain_id
    try:
        uri = settings.uri or f"https://{settings.domain}"
        terms = LoginTerms(settings.domain, uri, chain_id, settings.statement)
    except LoginError as error:
        raise UserError(f"the policy {name}: {error}") from None
    if not settings.min_balance and not settings.min_age_seconds:
        return WalletPolicy(terms, None, quotas, name)
    rpc = Rpc(settings.rpc_url) if settings.rpc_url else around.rpc
    if rpc.chain_id() != chain_id:
        raise UserError(f"the policy {name}: {rpc.shown} is not on chain {chain_id}: set chain_id or rpc_url")
    return WalletPolicy(terms, Standing(rpc, settings.min_balance, settings.min_age_seconds), quotas, name)
