"""Where a network runs for a while: a folder, processes and a chain of its own, and their end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mixpay.chain.devchain import DevChain
from mixpay.demo.processes import Processes
from mixpay.demo.stage import Stage
from mixpay.errors import UserError
from mixpay.files import make_private_folder


@dataclass(slots=True)
class Ground:
    """`keep`: the folder stays when all has ended."""

    folder: Path
    processes: Processes
    chain: DevChain
    keep: bool = True

    def end(self) -> None:
        """End all processes."""
        self.processes.stop()
        self.chain.stop()

    def clear(self) -> None:
        """Remove the folder, unless it stays."""
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def ground(stage: Stage, name: str, program: str, folder: Path | None = None) -> Iterator[Ground]:
    """A ground that has ended afterwards, whatever happens, and says where its folder is if that stays.

    `name`: of the folder, in part. `program`: of the chain. `folder`: a new one to take instead. Signals
    interrupt meanwhile, and nothing more. Raises UserError if `folder` is there already.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"mixpay-{name}-")) if folder is None else _new(folder)
    found = Ground(
        folder, Processes(folder / "logs"), DevChain(log=folder / "logs" / f"{program}.log", program=program)
    )
    with found.processes.watching_signals(), ExitStack() as ending:
        # Once more in any case: the terminal may be gone, and showing the step below fail.
        ending.callback(found.clear)
        ending.callback(found.end)
        try:
            yield found
        finally:
            with stage.step("all processes end"):
                found.end()
            if found.keep:
                stage.say(f"logs and everybody's folders: {folder}")


def _new(folder: Path) -> Path:
    if folder.exists():
        raise UserError(f"{folder} is there already: name another folder, or remove it")
    try:
        make_private_folder(folder.absolute())
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    return folder.absolute()
