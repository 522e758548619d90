"""The short form of `make fuzz`: every target's seeds and some thousand mutations, without the fuzzer.

No crash, no hang, no growth: an input that takes seconds shows in the time of this file, and what one input
makes us keep is measured.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from fuzz import campaign, mutator
from fuzz.target import Broken, Target, chunks
from fuzz.targets import TARGETS, clients, http
from mixpay.wire import client

EACH = 40_000
"""Mutations, shared out among the targets as their speeds are."""
MEMORY = 4 << 20
"""Bytes that one input of a few kilobytes may cost at a time."""
SHARES = campaign.shares(list(TARGETS.values()), EACH)
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)


@every_target
def test_seeds_are_what_targets_take(target: Target) -> None:
    seeds = target.seeds()
    assert seeds
    assert max(map(len, seeds)) <= target.longest
    for seed in (*seeds, b"", b"\0", b"\xff" * target.longest):
        target.run(seed)


def test_seeds_reach_what_lies_behind_the_parsers() -> None:
    """A good pass is taken, a mailbox is made and emptied; or mutations would test refusals."""
    found = [
        [type(answer) for answer in clients.answers(seed)] for seed in TARGETS["client_sessions"].seeds()
    ]
    passed, made = client.PassOk, client.MailboxTerms
    assert found[:2] == [[passed], [passed, client.Down, client.Down, client.Down]]
    assert found[3] == [client.Challenge, made, client.MailboxMessages, client.Done]
    statuses = {a.answers[0].status for a in clients.answers(TARGETS["client_sessions"].seeds()[1])[1:]}  # type: ignore[union-attr]
    assert statuses == {client.DownStatus.ACKNOWLEDGED}


@pytest.mark.parametrize(
    ("server", "name", "statuses"),
    [
        (lambda: http._gateway()[0], "http_gateway", "200 200 400 200 400 204 400 204 101 101 101 101 400"),
        (http._sponsor, "http_sponsor", "200 200 400 200 400 200 400 405"),
        (http._operator, "http_operator", "200 400 400 400 401 404"),
    ],
)
def test_requests_are_answered_as_in_production(
    server: Callable[[], web.Server], name: str, statuses: str
) -> None:
    answered = [http.asked(server(), seed) for seed in TARGETS[name].seeds()]
    assert [answer.split(b" ", 2)[1].decode() for answer in answered] == statuses.split()


@every_target
def test_mutations_break_nothing(target: Target) -> None:
    inputs = mutator.mutants(target.seeds(), SHARES[target.name], target.longest, 1)
    for number, data in enumerate(inputs):
        try:
            target.run(data)
        except Exception as error:
            error.add_note(f"input {number} of {target.name}: {data.hex()}")
            raise


@every_target
def test_one_input_costs_little_memory(target: Target) -> None:
    seeds = target.seeds()
    for seed in seeds:
        target.run(seed)  # what is kept for all inputs is there now
    inputs = [*seeds, *mutator.mutants(seeds, 20, target.longest, 2)]
    tracemalloc.start()
    try:
        for data in inputs:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            target.run(data)
            assert tracemalloc.get_traced_memory()[1] - before < MEMORY
    finally:
        tracemalloc.stop()


def test_mutations_are_the_same_in_every_run() -> None:
    first, again = (list(mutator.mutants([b"abc", b"defg"], 50, 6, 3)) for _ in range(2))
    assert first == again
    assert len(set(first)) > 30
    assert max(map(len, first)) <= 6


@pytest.mark.parametrize("step", [0, 1, 7, 127])
def test_chunks_are_the_whole(step: int) -> None:
    data = bytes(range(256)) * 4
    assert b"".join(chunks(data, step)) == data
    assert chunks(b"", step) == []


LOG = """INFO: seed corpus: files: 2 min: 1b max: 9b total: 10b rss: 100Mb
#3\tINITED cov: 10 ft: 12 corp: 2/10b exec/s: 0 rss: 100Mb
#9\tNEW    cov: 12 ft: 14 corp: 3/11b lim: 4 exec/s: 0 rss: {rss}Mb L: 1/9 MS: 1 ChangeBit-
{found}
stat::number_of_executed_units: 5000
stat::peak_rss_mb:              130
"""


def read(folder: Path, status: int, rss: int = 110, found: str = "") -> campaign.Result:
    log = folder / "x.log"
    log.write_text(LOG.format(rss=rss, found=found))
    return campaign.read_log(log, status, 2.0)


def test_log_of_a_good_run_is_read(tmp_path: Path) -> None:
    result = read(tmp_path, 0)
    assert (result.inputs, result.coverage, result.corpus, result.memory_mb) == (5000, 12, 3, 130)
    assert (result.growth_mb, result.crashes, result.slow, result.speed) == (10, (), (), 2500)


def test_crash_hang_growth_and_silence_are_found(tmp_path: Path) -> None:
    crash = "artifact_prefix='x'; Test unit written to /x/name-timeout-1"
    assert read(tmp_path, 70, found=crash).crashes == ("/x/name-timeout-1",)
    assert read(tmp_path, 0, rss=300).crashes == (str(tmp_path / "x.log"),)
    assert read(tmp_path, 1).crashes == (str(tmp_path / "x.log"),)
    slow = "artifact_prefix='x'; Test unit written to /x/name-slow-unit-1"
    assert read(tmp_path, 0, found=slow).slow == ("/x/name-slow-unit-1",)
    (tmp_path / "x.log").write_text("Killed\n")
    assert campaign.read_log(tmp_path / "x.log", 0, 1.0).crashes, "a run without an end has not run"


def test_inputs_are_shared_out_and_none_is_lost() -> None:
    assert sum(campaign.shares(list(TARGETS.values()), 10_000_000).values()) >= 10_000_000
    assert min(SHARES.values()) >= 100


def test_input_that_breaks_a_target_is_shown(tmp_path: Path) -> None:
    def broken(_: bytes) -> None:
        raise Broken("always")

    path = tmp_path / "input"
    path.write_bytes(b"x")
    target = Target("broken", 1, 9, lambda: [b"x"], broken)
    with pytest.raises(Broken, match="always"):
        campaign.reproduce(target, path)
