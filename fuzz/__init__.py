"""Fuzzing of every parser that a stranger can reach: `make fuzz`.

A package of its own beside `tests`, for two programs import it: the coverage-guided fuzzer (`fuzz.worker`,
in an environment of its own) and pytest (`tests/unit/test_fuzz_targets.py`, the short form without it).

    target.py      what a target is             targets/    one small target for each parser
    world.py       a network in memory          wires.py    transports and an event loop in memory
    mutator.py     the short form's mutations   worker.py   one target under the fuzzer
    __main__.py    all of them, and the report
"""
