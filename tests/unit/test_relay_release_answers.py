"""What an operator reads of releases: in the status, and in a settlement that went through several."""

from __future__ import annotations

import msgspec

from relay.operator.answers import ActionAnswer, ReleaseAnswer, SettleAnswer
from relay.operator.report import joined
from relay.operator.status_text import status_text
from test_relay_api import SETTLED, STATUS

SERVING = ReleaseAnswer(number=0, begins=0, ends=40, relay=3, state="serving", notes=[])
COMING = ReleaseAnswer(number=2, begins=40, ends=None, relay=None, state="not registered", notes=["do it"])


def test_status_saysNothingOfReleases_whileThereIsOne() -> None:
    alone = msgspec.structs.replace(STATUS, releases=[SERVING])
    assert "release" not in status_text(alone)


def test_status_saysWhatIsToBeDone_inEachRelease() -> None:
    text = status_text(msgspec.structs.replace(STATUS, releases=[SERVING, COMING]))
    assert text.endswith(
        "releases of the network:\n"
        "  release 0, epochs 0 to 39, relay 3: serving\n"
        "  release 2, epochs 40 on: not registered\n"
        "    - do it"
    )
    winding_up = msgspec.structs.replace(SERVING, state="winding up", notes=["relay 4 has not settled"])
    assert "winding up\n    - relay 4" in status_text(msgspec.structs.replace(STATUS, releases=[winding_up]))


def test_settlements_ofSeveralReleases_areToldApart() -> None:
    assert joined({3: SETTLED}) is SETTLED
    other = SettleAnswer(
        complete=False,
        seconds=2.5,
        unsettled_value={"7": 12},
        redeemed=[],
        actions=[ActionAnswer(what="claim", error="no ether")],
        waiting=["relay 7 has not settled"],
    )
    both = joined({0: SETTLED, 1: other})
    assert not both.complete and both.seconds == 2.5
    assert both.unsettled_value == {"7 in release 1": 12}
    assert both.actions == [ActionAnswer(what="release 1: claim", error="no ether")]
    assert both.waiting == ["release 1: relay 7 has not settled"]
