"""Deployment file and parameters: what is written is read back; each mistake has its own text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay import deployment as files
from mixpay.deployment import Deployment, Governance
from mixpay.errors import UserError
from mixpay.parameters import DEMO, PRODUCTION
from mixpay.types import Account

EXAMPLE = Deployment(
    chain_id=31_337,
    block=7,
    token=Account(b"\x01" * 20),
    network=Account(b"\x02" * 20),
    registry=Account(b"\x03" * 20),
    channels=Account(b"\x04" * 20),
    court=Account(b"\x06" * 20),
    pool=Account(b"\x05" * 20),
    genesis=1_700_000_000,
    parameters=DEMO,
    artifacts={"Token": "ab" * 32},
)

accounts = st.binary(min_size=20, max_size=20).map(Account)


@given(
    st.builds(
        Deployment,
        chain_id=st.integers(1, 2**63),
        block=st.integers(0, 2**40),
        token=accounts,
        network=accounts,
        registry=accounts,
        channels=accounts,
        court=accounts,
        pool=accounts,
        genesis=st.integers(0, 2**40),
        parameters=st.sampled_from([DEMO, PRODUCTION]),
        artifacts=st.dictionaries(st.sampled_from(["Token", "Network"]), st.just("0f" * 32)),
        governance=st.none() | st.builds(Governance, timelock=accounts, governor=accounts),
    )
)
def test_decode_returnsWhatWasEncoded(deployment: Deployment) -> None:
    assert files.decode(files.encode(deployment)) == deployment


def test_save_makesFolders_leavesNothingElse_andReplaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "deployment.json"
    files.save(path, EXAMPLE)
    other = dataclasses.replace(EXAMPLE, block=8)
    files.save(path, other)
    assert files.load(path) == other
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_save_failsIfFolderCannotBeMade(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        files.save(tmp_path / "file" / "deployment.json", EXAMPLE)


def test_load_failsIfAbsent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no deployment file at .*none\.json"):
        files.load(tmp_path / "none.json")


def test_load_failsIfNotAFile(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the deployment file"):
        files.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.update(format=1), "its format is 1"),
        (lambda c: c["addresses"].update(token="0x12"), r"\$\.addresses\.token"),
        (lambda c: c["addresses"].pop("court"), "court"),
        (lambda c: c.update(governance={"timelock": "0x" + "1" * 40}), "governor"),
        (lambda c: c.pop("genesis"), "genesis"),
        (lambda c: c.update(extra=1), "extra"),
        (lambda c: c.update(chain_id=0), "chain_id"),
        (lambda c: c["parameters"].update(notice=1), "finish_window ≤ notice does not hold"),
    ],
)  # fmt: skip
def test_load_saysWhatIsWrong(tmp_path: Path, change, text: str) -> None:
    content = json.loads(files.encode(EXAMPLE))
    change(content)
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=text):
        files.load(path)


def test_load_failsIfNotJson(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    path.write_bytes(b"\xff not json")
    with pytest.raises(UserError, match="is not a deployment file"):
        files.load(path)
