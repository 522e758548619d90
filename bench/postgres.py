"""A PostgreSQL server of one's own, in a temporary folder, on a socket in it: for tests and measurements.

PostgreSQL refuses to run as root, so root starts it as another user, who owns the folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

_USERS = ("postgres", "nobody")
_PATIENCE = 60.0
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class NoPostgres(Exception):
    """It is not installed, or does not start; says what to do."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: in PATH, or the newest of Debian's; None if there is none."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


@contextmanager
def private_postgres(*, fast: bool = True) -> Iterator[str]:
    """The URL of a server, while it runs. `fast`: nothing is synced. Raises NoPostgres."""
    place = programs()
    if place is None:
        raise NoPostgres("PostgreSQL is not installed: run `make setup-postgres`")
    folder = Path(tempfile.mkdtemp(prefix="mixpay-postgres-"))
    server = None
    try:
        server = _start(place, folder, fast)
        url = f"postgresql://mixpay@/postgres?host={folder}"
        _until_ready(server, url, folder / "log")
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # ends its sessions, and then itself
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder)


def _start(place: Path, folder: Path, fast: bool) -> subprocess.Popen[bytes]:
    user = _somebody() if os.getuid() == 0 else None
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    make = ["initdb", "-D", str(data), "-U", "mixpay", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(
        _as(user, [str(place / make[0]), *make[1:]]), capture_output=True, cwd=folder, text=True, check=False
    )
    if made.returncode:
        raise NoPostgres(f"initdb: {made.stderr.strip()}")
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "max_connections=50"]
    words = [str(place / "postgres"), "-D", str(data)]
    for setting in [*settings, *(_FAST if fast else ())]:
        words += ["-c", setting]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(_as(user, words), stdout=log, stderr=log, cwd=folder)


def _somebody() -> pwd.struct_passwd:
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def _as(user: pwd.struct_passwd | None, words: Sequence[str]) -> list[str]:
    """The command as that user's, ending when we do, whatever ends us."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise NoPostgres("there is no `setpriv`, to run PostgreSQL as another user than root")
        return list(words)
    who = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []
    return [setpriv, *who, "--pdeathsig=INT", *words]


def _until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    began = time.monotonic()
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise NoPostgres(f"the server does not start: {error}; {log.read_text()[-500:]}") from None
        time.sleep(0.05)
