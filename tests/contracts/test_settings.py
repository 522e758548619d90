"""Brownie compiles with the settings that forge, slither and the shipped artifacts use."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_compiler_settings_equal_those_of_forge() -> None:
    forge = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    compiler = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    assert compiler["evm_version"] == forge["evm_version"]
    assert compiler["solc"]["optimizer"] == {"enabled": forge["optimizer"], "runs": forge["optimizer_runs"]}
    assert compiler["solc"]["viaIR"] == forge["via_ir"]
    assert compiler["solc"]["remappings"] == forge["remappings"]
