"""The demo's report: the fields of reports/demo.json, the table, and what counts as failure."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from demo_evidence import PACKETS, PRICE, honest
from mixpay.demo import report
from mixpay.demo.report import Killing, Outcome, Step
from mixpay.demo.verifier import verify
from mixpay.errors import UserError
from mixpay.types import RelayId


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        verdict=verify(honest()),
        hop_price=PRICE,
        packets_sent=PACKETS,
        bytes_sent=5_000,
        bytes_equal=True,
        proven={RelayId(relay): PACKETS for relay in range(1, 6)},
        drops={RelayId(2): {"wrong_lock": 1}},
        steps=(Step("begin", 1.25), Step("end", 2.5)),
        seconds=3.75,
    )


def shown(outcome: Outcome) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(report.table(outcome))
    return text.getvalue()


def test_asJson_hasExactlyTheAgreedFields(outcome: Outcome) -> None:
    found = report.as_json(outcome)
    assert set(found) == {
        "relays",
        "sponsor_paid",
        "campaigns",
        "user_paid",
        "hop_price",
        "packets_sent",
        "packets_delivered",
        "bytes_equal",
        "invariants",
        "seconds",
        "users_native_balance",
        "transactions",
    }
    assert found["invariants"] == {"I1": True, "I8": True}
    assert found["relays"][0] == {
        "id": 1,
        "as_entry": PACKETS,
        "as_mix": 0,
        "as_mailbox": 0,
        "mailbox_ticks": 0,
        "earned": PACKETS * PRICE,
        "claimed": PACKETS * PRICE,
        "unclaimed": 0,
    }
    assert found["sponsor_paid"] == 5 * PACKETS * PRICE
    assert found["campaigns"] == {"1": 5 * PACKETS * PRICE}


def test_write_replacesAnOlderReport(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "new" / "demo.json"
    report.make_room(path)
    path.write_text("old")
    report.make_room(path)
    assert not path.exists()
    report.write(path, outcome)
    assert json.loads(path.read_text()) == report.as_json(outcome)


def test_write_failsIfThePathIsAFolder(outcome: Outcome, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write the report"):
        report.make_room(tmp_path)
    with pytest.raises(UserError, match="cannot write the report"):
        report.write(tmp_path, outcome)


def test_table_showsEveryRelayAndTheSums(outcome: Outcome) -> None:
    text = shown(outcome)
    assert "5000 bytes arrived unchanged" in text
    assert text.count("+3") == 5
    assert "0.000015 MIX" in text
    assert text.count("holds") == 2
    assert "3.8 s  in all" in text


def test_table_saysWhatIsBroken(outcome: Outcome) -> None:
    verdict = verify(replace(honest(), vouchers=()))
    assert "BROKEN" in shown(replace(outcome, verdict=verdict))


def test_failures_areNoneWhenAllHolds(outcome: Outcome) -> None:
    assert list(outcome.failures()) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bytes_equal": False}, "not the file"),
        ({"packets_sent": PACKETS + 2}, "2 packets were lost"),
        ({"packets_sent": PACKETS + 2}, "relay 2 says that it dropped: 1 wrong_lock"),
        ({"verdict": verify(replace(honest(), vouchers=()))}, "I8"),
        ({"verdict": verify(replace(honest(), pool_vouchers=()))}, "I3"),
        ({"verdict": replace(verify(honest()), user_paid=10**18)}, "users paid 1 tokens"),
        ({"verdict": replace(verify(honest()), users_native=7)}, "7 wei"),
    ],
)
def test_failures_nameWhatDoesNotHold(outcome: Outcome, changes: dict[str, object], text: str) -> None:
    assert any(text in failure for failure in replace(outcome, **changes).failures())


def test_failures_nameWhatIsUnclaimed(outcome: Outcome) -> None:
    relays = outcome.verdict.relays
    unclaimed = (replace(relays[0], unclaimed=1), *relays[1:])
    broken = replace(outcome, verdict=replace(outcome.verdict, relays=unclaimed))
    assert list(broken.failures()) == ["0.000000000000000001 tokens were earned and not claimed"]


# ---------------------------------------------------------------------- a relay that was killed


def killed(outcome: Outcome, *, paid: bool = True) -> Outcome:
    killing = Killing(RelayId(3), in_flight=2, repeated=4, held=6 * PRICE, paid=paid)
    return replace(outcome, killing=killing, packets_sent=PACKETS + 4)


def test_killing_isReported_andLostPacketsAreNoFailureThen(outcome: Outcome) -> None:
    found = report.as_json(killed(outcome))
    assert found["killing"] == {"relay": 3, "in_flight": 2, "repeated": 4, "held": 6 * PRICE, "paid": True}
    assert list(killed(outcome).failures()) == []
    text = shown(killed(outcome))
    for words in ("relay 3, with 2 packets under way", "4 packets", "0.000006 MIX, all signed for since"):
        assert words in text


def test_killing_failsTheDemo_ifAReceiptWasNotPaid(outcome: Outcome) -> None:
    assert list(killed(outcome, paid=False).failures()) == [
        "relay 3 was killed, and is not paid for all receipts that it held"
    ]
    assert "NOT all signed for since" in shown(killed(outcome, paid=False))
