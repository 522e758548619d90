"""What programs write on stderr: readable by people and programs, never more than a peer deserves."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay import logs


def record(
    message: str, *arguments: object, level: int = logging.WARNING, **fields: Any
) -> logging.LogRecord:
    made = logging.LogRecord("relay.x", level, "", 0, message, arguments, fields.pop("exc_info", None))
    made.created = 1_700_000_000.0
    return made


def line(form: str, made: logging.LogRecord) -> str:
    return logs._FORMATTERS[form]().format(made)


def test_forms_tellTheSame() -> None:
    made = record("relay %d refuses: %s", 5, "bad ack")
    assert line("text", made) == "2023-11-14 22:13:20 WARNING relay 5 refuses: bad ack"
    assert line("logfmt", made) == (
        'time=2023-11-14T22:13:20Z level=warning logger=relay.x msg="relay 5 refuses: bad ack"'
    )
    assert json.loads(line("json", made)) == {
        "time": "2023-11-14T22:13:20Z",
        "level": "warning",
        "logger": "relay.x",
        "msg": "relay 5 refuses: bad ack",
    }


@given(st.text())
def test_whatOthersSay_makesNoLinesOfItsOwn(said: str) -> None:
    """The attack: a peer's text that looks like our next line."""
    made = record("a peer says %s", said)
    for form in logs.FORMATS:
        assert len(line(form, made).splitlines()) == 1
    assert json.loads(line("json", made))["msg"].startswith("a peer says ")
    fields = shlex.split(line("logfmt", made).replace("\\\\", ""))
    assert [field.split("=")[0] for field in fields[:3]] == ["time", "level", "logger"]


def test_traceback_staysReadable() -> None:
    try:
        raise ZeroDivisionError("none")
    except ZeroDivisionError as error:
        made = record("failed", exc_info=(type(error), error, error.__traceback__))
    assert line("text", made).splitlines()[-1] == "ZeroDivisionError: none"
    assert "ZeroDivisionError: none" in json.loads(line("json", made))["trace"]
    assert "\n" not in line("logfmt", made)


def test_repetitions_areLeftOut_andCounted() -> None:
    now = [0.0]
    repeats = logs.Repeats(burst=2, window=10.0, clock=lambda: now[0], limited=("relay.links",))
    same = [repeats.filter(record("relay %d refuses", number)) for number in range(5)]
    assert same == [True, True, False, False, False]
    assert repeats.filter(record("something else"))
    assert repeats.filter(record("relay %d refuses", 1, level=logging.ERROR))
    assert all(repeats.filter(record("the disk", level=logging.CRITICAL)) for _ in range(9))
    done = record("%s: %s", "claimed", "5 tokens", level=logging.INFO)
    assert all(repeats.filter(done) for _ in range(9))
    link = record("%s: open", "link", level=logging.INFO)
    link.name = "relay.links.server"
    assert [repeats.filter(link) for _ in range(3)] == [True, True, False]
    now[0] = 10.0
    later = record("relay %d refuses", 1)
    assert repeats.filter(later)
    assert line("text", later).endswith("relay 1 refuses [3 like this were left out]")
    again = record("relay %d refuses", 1)
    assert repeats.filter(again) and "left out" not in line("text", again)


def test_inventedMessages_doNotFillOurMemory() -> None:
    repeats = logs.Repeats()
    for number in range(3 * logs._MOST_KINDS):
        assert repeats.filter(record(f"invented {number}"))
    assert len(repeats._seen) <= logs._MOST_KINDS


BEGIN = """
import logging, sys
from mixpay import logs
for _ in range(2):  # nothing is said twice
    logs.begin(sys.stderr, "logfmt", verbose=sys.argv[1] == "True")
log = logging.getLogger("relay.test")
log.debug("detail")
log.info("news")
logging.getLogger("urllib3").info("http://user:secret@rpc.example")
"""


@pytest.mark.parametrize("verbose", [False, True])
def test_begin_writesFromItsLevelOn(verbose: bool) -> None:
    """In a process of its own: what is written depends on who else has handlers."""
    program = [sys.executable, "-c", BEGIN, str(verbose)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stderr.splitlines()
    assert [shlex.split(one)[-1] for one in said] == (["msg=detail"] if verbose else []) + ["msg=news"]
