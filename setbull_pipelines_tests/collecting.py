"""``python -m setbull_pipelines_tests.collecting FILE``: write what pytest collects, one line per test.

A line is the id of a test and its parameters, which an id can leave out. Belongs here: collecting and writing. Does not
belong here: assertions.
"""

from __future__ import annotations

import json
import re
import sys
from enum import Enum
from pathlib import Path

import pytest

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Collected:
    """Plugin of pytest that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            call = getattr(item, "callspec", None)
            self.lines.append(json.dumps([item.nodeid, described(call.params if call else {})]))


def described(value: object) -> str:
    """The text of a parameter; sets in one order, since only their members count, and without addresses in memory."""
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{described(k)}: {described(each)}' for k, each in value.items())}}}"
    if isinstance(value, list | tuple | set | frozenset):
        texts = [described(each) for each in value]
        ordered = sorted(texts) if isinstance(value, set | frozenset) else texts
        return f"{type(value).__name__}({', '.join(ordered)})"
    return ADDRESS.sub("", repr(value))


if __name__ == "__main__":
    collected = Collected()
    options = ["--collect-only", "-q", "-p", "no:cacheprovider"]
    status = pytest.main(options, plugins=[collected])
    Path(sys.argv[1]).write_text("\n".join(collected.lines), encoding="utf-8")
    sys.exit(status)
