"""The description of the issuer's interface: complete, and what is served."""

from __future__ import annotations

import json
import re
from typing import Any

from click.testing import CliRunner

from mixpay.cli.sponsor import sponsor
from mixpay.sponsor import api, openapi
from mixpay.sponsor.statuses import STATUS

DOCUMENT: dict[str, Any] = json.loads(openapi.document())


def operations() -> dict[str, dict[str, Any]]:
    return {path: operation for path, item in DOCUMENT["paths"].items() for operation in item.values()}


def test_everyLabel_isDocumented_hasAStatus_andAPath() -> None:
    assert api.__doc__ is not None
    said = api.__doc__.split("Error labels, of any request:")[1]
    documented = set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", re.sub(r"Of \w+:", "", said)))
    assert documented == set(STATUS)
    described = {label for labels in openapi.LABELS.values() for label in labels}
    assert described == set(STATUS) - {"method_not_allowed"}


def test_everyError_isDescribedByItsStatusAndLabels() -> None:
    for path, operation in operations().items():
        found = {}
        for status, response in operation["responses"].items():
            if status != "200":
                schema = response["content"]["application/json"]["schema"]
                found |= dict.fromkeys(schema["allOf"][1]["properties"]["error"]["enum"], int(status))
        assert found == {label: STATUS[label] for label in openapi.LABELS[path]}


def test_everyReference_isThere() -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', openapi.document().decode()))
    assert names == set(DOCUMENT["components"]["schemas"])


def test_bodies_sayTheirLimits_andWhatBase64LooksLike() -> None:
    sign = DOCUMENT["paths"][api.SIGN_PATH]["post"]["requestBody"]
    assert re.fullmatch(r"At most \d+ bytes\.", sign["description"])
    blinded = DOCUMENT["components"]["schemas"]["SignRequest"]["properties"]["blinded"]
    assert (blinded["minLength"], blinded["pattern"]) == (344, "^[A-Za-z0-9+/]{342}==$")


def test_theCommand_printsIt() -> None:
    result = CliRunner().invoke(sponsor, ["openapi"])
    assert result.exit_code == 0 and json.loads(result.stdout) == DOCUMENT
