"""`make test-api`: schemathesis against `mixpay sponsor serve` on a local chain, by its own description.

All of its checks, with a fixed seed. LIMIT in the environment: seconds that it may take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from mixpay.chain.devchain import DevChain
from mixpay.sponsor.policies.api_key import new_key
from sponsor_world import PASSWORD, World

HERE = Path(__file__).resolve().parent
RUNNER = HERE.parents[1] / ".venv-api" / "bin" / "schemathesis"
LIMIT = os.environ.get("LIMIT", "75")

POLICIES = """\
[[policy]]
kind = "open"
entry_passes = 1_000_000
mailbox_passes = 1_000_000

[[policy]]
kind = "work"
difficulty = 2

[[policy]]
kind = "invitation"

[[policy]]
kind = "api-key"

[[policy]]
kind = "wallet"
domain = "passes.example"
min_balance = 1

"""


def main() -> int:
    """Schemathesis' exit status."""
    with DevChain() as chain, tempfile.TemporaryDirectory() as folder:
        world = World(chain, Path(folder))
        world.settle_in()
        relay, _ = world.register()
        _settle_policies(world)
        environ = os.environ | {"MIXPAY_PASSWORD": PASSWORD}
        command = [sys.executable, "-m", "mixpay.cli.main", "sponsor", "serve"]
        command += ["--home", str(world.home.folder)]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as service:
            assert service.stdout is not None
            url = service.stdout.readline().strip()
            try:
                return _schemathesis(url, _known(url, world, relay)) if url else 1
            finally:
                service.terminate()


def _settle_policies(world: World) -> None:
    home = world.home
    codes = home.folder / "invitations.txt"
    codes.touch(0o600)
    codes.write_text("aaaabbbbccccdddd\n")
    keys = home.folder / "api-keys.txt"
    keys.write_text(f"{new_key('shop', os.urandom)[1]}\n")
    keys.chmod(0o600)
    before, after = home.config_path.read_text().split("[[policy]]\n", 1)
    home.config_path.write_text(before + POLICIES + after[after.index("[later_campaigns]") :])
    world.configure(per_second=1e6, connections_of_address=1000)


def _known(url: str, world: World, relay: int) -> dict[str, Any]:
    """What there is, in an epoch after one in which passes were issued."""
    world.join()
    epoch, seen, described = world.next_epoch(), -1, {}
    limit = time.monotonic() + 30
    while seen != epoch and time.monotonic() < limit:
        time.sleep(0.1)
        with urllib.request.urlopen(f"{url}/v1/campaign", timeout=5) as response:  # noqa: S310 our own
            described = json.load(response)
        seen = described["epoch"]
    return {
        "pool": f"0x{world.deployment.pool.hex()}",
        "policies": [policy["name"] for policy in described["policies"]],
        "relay": relay,
        "periods": [epoch, described["term"]],
    }


def _schemathesis(url: str, known: dict[str, Any]) -> int:
    # Its own libraries are newer than ours: nothing of our environment goes with it.
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "hooks"}
    environ |= {"MIXPAY_API_KNOWN": json.dumps(known), "HOME": os.environ["HOME"]}
    command = [
        *(str(RUNNER), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/v1/openapi.json"),
        # One worker: two parse Python at once, which CPython 3.11 cannot.
        *("--checks", "all", "--seed", "1", "--max-time", LIMIT, "--workers", "1"),
        *("--generation-database", "none", "--request-timeout", "20", "--no-color"),
    ]
    return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
