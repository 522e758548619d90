#!/usr/bin/env bash
# Installs Debian's PostgreSQL, if there is none: tests and measurements start servers of their own with its programs.
set -euo pipefail

# The same places as bench/postgres.py.
if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi

explain() {
  {
    echo "missing: PostgreSQL's server programs (initdb, postgres), and $1."
    echo "  Install them from your system's packages (Debian, Ubuntu: apt install postgresql), or put their folder into PATH."
    echo "  Without them, the tests of an issuer on PostgreSQL are skipped; SQLite needs nothing."
  } >&2
  exit 1
}

command -v apt-get >/dev/null || explain "there is no apt-get here to install them"
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  explain "only root can install them"
fi
echo "setup: PostgreSQL from the system's packages"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq || explain "apt-get update failed (see above)"
"${as_root[@]}" apt-get install -y -qq --no-install-recommends postgresql >/dev/null || explain "apt-get install failed (see above)"
# We start servers ourselves; the package's own would only take memory.
"${as_root[@]}" service postgresql stop >/dev/null 2>&1 || true
