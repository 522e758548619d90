"""The issuer's interface as OpenAPI 3.1, made from the types of `mixpay.sponsor.api`.

Served at `api.OPENAPI_PATH` and printed by `mixpay sponsor openapi`. Every status says which error labels
come with it; a client acts on labels.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

import mixpay
from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.passes import REDEMPTION_SIZE
from mixpay.sponsor import api
from mixpay.sponsor.statuses import MAX_REDEEM_BODY, MAX_SIGN_BODY, STATUS

_ALWAYS = ("malformed", "too_fast", "not_found", "no_campaign", "busy", "chain_unavailable", "internal")
_BODY = ("too_large", "too_slow")
_SIGN = (
    *("policy_required", "policy_unknown", "identity_required", "identity_refused", "policy_unavailable"),
    *("quota_exceeded", "share_exceeded", "paused", "wrong_period", "no_key"),
)
_REDEEM = ("period_open", "claim_window_over", "unknown_relay", "no_key")
LABELS = {
    api.CAMPAIGN_PATH: _ALWAYS,
    api.SIGN_PATH: (*_ALWAYS, *_BODY, *_SIGN),
    api.REDEEM_PATH: (*_ALWAYS, *_BODY, *_REDEEM),
}
"""The errors of each path. Any path answers another method with method_not_allowed."""

_TYPES = (
    *(api.CampaignAnswer, api.SignRequest, api.SignAnswer),
    *(api.RedeemRequest, api.RedeemAnswer, api.ErrorAnswer),
)
_Json = dict[str, Any]

_PADDING = {-(-size // 3) * 4: -size % 3 for size in (20, 65, 256, PROOF_SIZE, REDEMPTION_SIZE)}
"""What base64 ends with, by its length, of the sizes that occur."""

_SCHEMAS = "#/components/schemas/{name}"
_POOL = {
    "name": api.POOL_QUERY,
    "in": "query",
    "required": False,
    "description": "The pool that the request means, as 0x and 40 hexadecimal digits (capitals: EIP-55); "
    "without it, that of the network's release in force.",
    "schema": {"type": "string", "pattern": "^0x[0-9a-f]{40}$"},
}


@cache
def document() -> bytes:
    """The description, as JSON."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template=_SCHEMAS)
    paths = {
        api.CAMPAIGN_PATH: {"get": _operation(api.CAMPAIGN_PATH, "campaign", api.CampaignAnswer)},
        api.SIGN_PATH: {
            "post": _operation(api.SIGN_PATH, "sign", api.SignAnswer, api.SignRequest, MAX_SIGN_BODY)
        },
        api.REDEEM_PATH: {
            "post": _operation(
                api.REDEEM_PATH, "redeem", api.RedeemAnswer, api.RedeemRequest, MAX_REDEEM_BODY
            )
        },
    }
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Mixpay issuer",
            "version": mixpay.__version__,
            "description": (api.__doc__ or "").split("\n\n", 2)[2].strip(),
        },
        "paths": paths,
        "components": {"schemas": {name: _tidy(schema) for name, schema in schemas.items()}},
    }
    return msgspec.json.encode(whole)


def _operation(
    path: str,
    name: str,
    answer: type[msgspec.Struct],
    request: type[msgspec.Struct] | None = None,
    limit: int = 0,
) -> _Json:
    found: _Json = {
        "operationId": name,
        "summary": (inspect.getdoc(request or answer) or "").split("\n", 1)[0],
        "parameters": [_POOL],
        "responses": {"200": _response("Done.", _reference(answer)), **_errors(LABELS[path])},
    }
    if request is not None:
        content = {"application/json": {"schema": _reference(request)}}
        found["requestBody"] = {
            "required": True,
            "description": f"At most {limit} bytes.",
            "content": content,
        }
    return found


def _errors(labels: Iterable[str]) -> _Json:
    by_status: dict[int, list[str]] = {}
    for label in labels:
        by_status.setdefault(STATUS[label], []).append(label)
    return {
        str(status): _response(
            f"{HTTPStatus(status).phrase}: {', '.join(found)}.",
            {"allOf": [_reference(api.ErrorAnswer), {"properties": {"error": {"enum": found}}}]},
        )
        for status, found in sorted(by_status.items())
    }


def _response(description: str, schema: _Json) -> _Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(kind: type[msgspec.Struct]) -> _Json:
    return {"$ref": _SCHEMAS.format(name=kind.__name__)}


def _tidy(schema: Any) -> Any:
    """Docstrings without their indentation, and what base64 of a fixed length looks like."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {name: _tidy(value) for name, value in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = re.sub(r"\n +", "\n", found["description"])
    if found.get("contentEncoding") == "base64":
        padding = _PADDING[found["minLength"]]
        found["pattern"] = f"^[A-Za-z0-9+/]{{{found['minLength'] - padding}}}{'=' * padding}$"
    return found
