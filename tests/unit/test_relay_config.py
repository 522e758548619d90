"""The relay's configuration: what `init` writes is what the daemon reads; mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.endpoint import Endpoint, parse_endpoint
from mixpay.errors import UserError
from mixpay.types import Account
from relay.config import (
    CourtRules,
    Limits,
    PassSettings,
    RelayConfig,
    Settlement,
    TreasuryRules,
    decode,
    load,
    render,
)

OWNER = "0x" + "ab" * 20
BASICS: dict[str, Any] = {
    "rpc_url": "http://127.0.0.1:8545",
    "deployment": "network.json",
    "host": "127.0.0.1",
    "link_port": 9101,
    "client_port": 9102,
    "owner": OWNER,
}


def rendered(**changes: Any) -> RelayConfig:
    return decode(render(**(BASICS | changes)).encode(), "it")


def test_the_template_says_the_defaults() -> None:
    assert rendered() == RelayConfig(**BASICS)
    text = render(**BASICS)
    for struct in (RelayConfig, Limits, Settlement, PassSettings, TreasuryRules, CourtRules):
        for name in struct.__struct_encode_fields__:
            assert f"\n{name} = " in text or f"\n[{name}]\n" in text


def test_settings_and_issuers_are_written() -> None:
    config = rendered(
        issuers={2: "https://b.example", 1: 'http://a.example/"x"'},
        settings={"treasury.float": "7", "limits.ack_timeout": "2", "listen": "::1", "api_port": "8"},
    )
    assert config.issuer_urls == {1: 'http://a.example/"x"', 2: "https://b.example"}
    assert (config.treasury.float_, config.limits.ack_timeout, config.listen) == (7, 2.0, "::1")
    assert config.api_port == 8
    assert config.owner_account == Account(b"\xab" * 20)


def test_endpoint_has_brackets_around_an_ipv6_host() -> None:
    assert rendered(host="::1").endpoint == "[::1]:9101:9102"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_out_of_its_setting(deployment: str, value: str) -> None:
    try:
        config = rendered(deployment=deployment, settings={"host": value})
    except UserError:
        return
    assert config.deployment == deployment
    assert config == RelayConfig(**(BASICS | {"deployment": deployment, "host": config.host}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"settings": {"treasury.fund": "10"}}, "fund is below top_up_below"),
        ({"settings": {"limits.clients": "0"}}, "$.limits.clients"),
        ({"settings": {"limits.credit_limit": "999_999"}}, "credit_limit is above max_unsettled"),
        ({"settings": {"limits.speed": "1"}}, "no setting 'limits.speed'"),
        ({"settings": {"sign_after": "1"}}, "no setting 'sign_after'"),
        ({"settings": {"settlement.period": "soon"}}, "$.settlement.period"),
        ({"settings": {"court.patience": "0"}}, "$.court.patience"),
        ({"settings": {"court.min_amount": "0"}}, "$.court.min_amount"),
        ({"link_port": 70_000}, "$.link_port"),
        ({"client_port": 9101}, "different ports"),
        ({"host": "no host"}, "an endpoint reads"),
        ({"listen": "localhost"}, "no network address"),
        ({"owner": "0x12"}, "is no account"),
        ({"owner": "0x" + "00" * 20}, "zero account"),
        ({"owner": "0x" + "Ab" * 20}, "checksum"),
        ({"rpc_url": "127.0.0.1:8545"}, "rpc_url"),
        ({"rpc_url": "http://[::1:8545"}, "rpc_url"),
        ({"issuers": {1: "ftp://a"}}, "issuer of campaign 1"),
        ({"deployment": ""}, "deployment"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        rendered(**changes)
    assert complaint in str(caught.value)


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text(render(**BASICS).replace("[treasury]", "[treasury]\nflaot = 1"))
    with pytest.raises(UserError, match=r"relay.toml: .*flaot"):
        load(path)


def test_no_file_and_no_toml_are_named(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    with pytest.raises(UserError, match="run `mixpay-relay init` first"):
        load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"relay\.toml"):
        load(path)


def test_listen_mayNamePortsOfItsOwn_forTheAnnouncedOnes() -> None:
    config = rendered(listen="10.0.0.5:7101:7102")
    announced = parse_endpoint(config.endpoint)
    assert config.listening(announced) == Endpoint("10.0.0.5", 7101, 7102)
    other = Endpoint("relay.example", 9201, 9202)
    assert config.listening(other) == Endpoint("10.0.0.5", 9201, 9202), "of a later release"
    assert rendered(listen="[fd00::5]:7101:7102").listening(announced).host == "fd00::5"
    assert rendered(listen="::").listening(announced) == Endpoint("::", *announced[1:])


@pytest.mark.parametrize("listen", ["relay.example:1:2", "10.0.0.5:1", "10.0.0.5:0:2", "10.0.0.5:3:3", ""])
def test_listenThatIsNone_isNamed(listen: str) -> None:
    with pytest.raises(UserError, match=r"listen: .* nor address:link_port:client_port"):
        rendered(listen=listen)


@pytest.mark.parametrize("name", ["link_port", "client_port"])
def test_portZero_isNoPortToAnnounce(name: str) -> None:
    with pytest.raises(UserError, match=rf"(>= 1.*{name}|endpoint reads)"):
        rendered(**{name: 0})
