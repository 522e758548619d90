"""What is in the scope of an audit: the table of files in docs/audit/scope.md, counted from the sources.

`python -m scripts.contracts.scope` renews it; tests/unit/test_audit.py compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from scripts.contracts.part import AUDIT, ROOT

PAGE = AUDIT / "scope.md"
OUT = ("contracts/Token.sol",)
"""For local chains; no money that is worth anything."""
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
TABLE = re.compile(r"^\| file \|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)
HEAD = ("| file | lines | of code |", "|---|---:|---:|")


def code_lines(source: str) -> int:
    """Lines that are neither empty nor comment. No string in our sources holds two slashes."""
    return sum(bool(line.strip()) for line in COMMENT.sub("", source).splitlines())


def files(root: Path) -> dict[str, str]:
    """Name → text of every source in scope, in the order of names."""
    paths = {str(path.relative_to(root)): path for path in (root / "contracts").rglob("*.sol")}
    return {name: paths[name].read_text() for name in sorted(paths) if name not in OUT}


def table(root: Path = ROOT) -> str:
    """The table, without an end of line after it."""
    counts = [(name, len(text.splitlines()), code_lines(text)) for name, text in files(root).items()]
    rows = [f"| `{name}` | {lines} | {code} |" for name, lines, code in counts]
    total = f"| **{len(counts)} files** | {sum(c[1] for c in counts)} | {sum(c[2] for c in counts)} |"
    return "\n".join((*HEAD, *rows, total))


def main() -> None:
    """Writes the table into the page."""
    PAGE.write_text(TABLE.sub(table(), PAGE.read_text(), count=1))


if __name__ == "__main__":
    main()
