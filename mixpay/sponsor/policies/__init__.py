"""The policies that come with Mixpay, one module each, and how to ship another.

    open        anybody, by network address
    invitation  who brings a code
    api-key     the users of a dApp, whose backend asks for them with its key
    callback    the users of a dApp, which is asked over HTTP whose token this is
    wallet      the owner of an Ethereum account, by a signed message (EIP-4361); of some balance or age
    work        anybody who lets a computer work for some seconds

A kind of policy is a module (or an object) with two attributes, see `interface.PolicyKind`:

    class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True): ...
    def make(name, quotas, settings, around) -> mixpay.sponsor.policy.Policy: ...

A package of yours ships one by an entry point of the group `mixpay.policies`, whose name is the kind:

    [project.entry-points."mixpay.policies"]
    membership = "my_package.membership"

It is installed beside Mixpay, and used by `[[policy]]` with `kind = "membership"` in sponsor.toml. `Settings`
reads the table's other settings; kind, name and quotas are Mixpay's. What the credential holds is between the
policy and its clients (`mixpay.client.credentials`); its docstring says it. A policy is trusted with all that
requests show, and decides about the campaign's money.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Annotated, Any, cast

import msgspec

from mixpay.errors import UserError
from mixpay.sponsor import api
from mixpay.sponsor.policies.interface import PolicyKind, Surroundings
from mixpay.sponsor.policy import Policies, Policy, Quotas

GROUP = "mixpay.policies"
KINDS = {
    "open": "mixpay.sponsor.policies.open",
    "invitation": "mixpay.sponsor.policies.invitation",
    "api-key": "mixpay.sponsor.policies.api_key",
    "callback": "mixpay.sponsor.policies.callback",
    "wallet": "mixpay.sponsor.policies.wallet",
    "work": "mixpay.sponsor.policies.work",
}
"""Kind → module of what comes with Mixpay; loaded when a sponsor uses it."""

_Passes = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _Common(msgspec.Struct, frozen=True):
    """What every [[policy]] table has."""

    kind: str
    name: api.PolicyName = ""
    entry_passes: _Passes = 4
    mailbox_passes: _Passes = 4


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """One [[policy]] table, checked; `own`: the kind's `Settings`."""

    name: str
    kind: str
    quotas: Quotas
    own: Any
    maker: PolicyKind


def read_settings(tables: Sequence[Mapping[str, Any]]) -> list[PolicySettings]:
    """Check [[policy]] tables. Raises UserError saying which one is wrong, and what in it."""
    read = []
    for number, table in enumerate(tables, 1):
        try:
            read.append(_read(table))
        except (msgspec.ValidationError, UserError) as error:
            raise UserError(f"policy {number}: {error}") from None
    return read


def make_policies(settings: Sequence[PolicySettings], around: Surroundings) -> Policies:
    """The policies of a sponsor. Raises UserError for settings that cannot be used."""
    made: list[Policy] = [one.maker.make(one.name, one.quotas, one.own, around) for one in settings]
    return Policies(made)


def _read(table: Mapping[str, Any]) -> PolicySettings:
    common = msgspec.convert(table, _Common)
    maker = _maker(common.kind)
    own = {key: value for key, value in table.items() if key not in _Common.__struct_fields__}
    quotas = Quotas(common.entry_passes, common.mailbox_passes)
    settings = msgspec.convert(own, maker.Settings)
    return PolicySettings(common.name or common.kind, common.kind, quotas, settings, maker)


def _maker(kind: str) -> PolicyKind:
    if kind in KINDS:
        return cast(PolicyKind, importlib.import_module(KINDS[kind]))
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        known = ", ".join(sorted({*KINDS, *found}))
        raise UserError(f"there is no kind {kind!r}; known: {known}")
    try:
        return cast(PolicyKind, found[kind].load())
    except (ImportError, AttributeError) as error:
        raise UserError(f"the kind {kind!r} cannot be loaded: {error}") from None
