"""`mixpay-relay backup` and `restore`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mixpay import amounts
from mixpay.cli.common import json_option, result, say
from relay.cli import options


@click.command(epilog="Example: mixpay-relay backup relay.backup")
@options.home
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Take the place of a file that is there.")
@json_option
def backup(folder: Path, file: Path, replace: bool, as_json: bool) -> None:
    """Copy settings, keys and databases into one FILE; the daemon may run.

    The keys in it stay encrypted with their password, which is not in it. It names whom the relay owes and is
    owed by: keep it as you keep the folder, and delete what you do not need any more.
    """
    from relay.backup.making import back_up  # noqa: PLC0415 loads much, which --help must not wait for
    from relay.rotation.plan import retired_folders  # noqa: PLC0415

    made = back_up(folder, file, int(time.time()), replace=replace)
    names = [entry.name for entry in made.files]
    fields = {"file": str(file), "operator": made.operator, "made_at": made.made_at, "files": names}
    result(as_json, fields, f"{file}: the relay of operator {made.operator}\n{', '.join(names)}")
    say("the keys in it need the key store's password, which is not in it")
    for place in retired_folders(folder):
        say(f"the relay of an old operator key is not in it: mixpay-relay backup --home {place} ANOTHER-FILE")
    say(
        f"it is as old as its moment, {amounts.moment(made.made_at)}: a relay that is restored from it "
        "collects what it is owed and pays what it owes, but carries no packets any more. To move a relay, "
        "stop it and copy the folder instead"
    )


@click.command(epilog="Example: mixpay-relay restore relay.backup")
@options.home
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def restore(folder: Path, file: Path, as_json: bool) -> None:
    """Restore a relay that lost its disk or a database from the backup FILE.

    Nothing that is sound is replaced. What was promised after the backup is forgotten, so the relay carries
    no packets any more: it collects what it is owed, pays what it owes, and leaves.
    """
    from relay.backup.restoring import restore as put_back  # noqa: PLC0415 loads much
    from relay.keys.restored import SERVES_NO_MORE  # noqa: PLC0415

    done = put_back(file, folder)
    fields = {
        "operator": done.contents.operator,
        "made_at": done.contents.made_at,
        "restored": done.put,
        "kept": done.whole,
        "set_aside": done.aside,
    }
    when = amounts.moment(done.contents.made_at)
    lines = [f"{folder}: the relay of operator {done.contents.operator}, as of {when}"]
    lines.append(f"restored {', '.join(done.put)}")
    if done.aside:
        lines.append(f"damaged, to be deleted when all is well: {', '.join(done.aside)}")
    result(as_json, fields, "\n".join(lines))
    if done.deployment_missing:
        say('the deployment file is not where it was: set  deployment = "deployment.json"  in relay.toml')
    if done.whole:
        say(f"{', '.join(done.whole)}: as before, for other databases do not matter to it")
    say(SERVES_NO_MORE)
