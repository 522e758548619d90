"""One target under the coverage-guided fuzzer: `python -m fuzz.worker NAME CORPUS [libFuzzer's options]`.

It runs in the fuzzer's environment. What is fuzzed is instrumented as it is imported, so nothing of it may be
imported before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import atheris


def plant(corpus: Path, seeds: Sequence[bytes]) -> None:
    """Put the seeds beside what earlier runs have found."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:02}").write_bytes(seed)


def main() -> None:
    """Never returns: the fuzzer ends the process, with status 0 if nothing was found."""
    name, corpus, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["mixpay", "relay"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - it is instrumented here
    target = TARGETS[name]
    plant(Path(corpus), target.seeds())
    atheris.Setup([sys.argv[0], corpus, f"-max_len={target.longest}", *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
