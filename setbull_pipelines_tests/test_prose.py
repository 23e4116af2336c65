"""The wording of documents and docstrings: what a reader stumbled over does not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TEXTS = [
    *sorted(PROJECT.glob("*.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "setbull_pipelines").rglob("*.py")),
]
STUMBLES = {
    "a sentence that begins with 'Of'": re.compile(r'(?m)(?:^|[.:] |""")Of [a-z]'),
    "a docstring that needs its neighbour": re.compile(r'"""The same (?:for|of) the '),
    "'is told' for is shown, logged, sent": re.compile(r"\b(?:is|are) told\b(?! apart)"),
    "'whoever' for a reader, a caller, a process": re.compile(r"\b[Ww]hoever\b"),
    "'of which'": re.compile(r"\bof which\b"),
    "a row of a table with one bar too many": re.compile(r"(?m)^\|\||\|\|$"),
}


@pytest.mark.parametrize("what", STUMBLES)
def test_nobody_stumbles_over(what: str) -> None:
    assert len(TEXTS) > 300
    found = [
        f"{path.relative_to(PROJECT)}:{text[: match.start()].count(chr(10)) + 1}"
        for path in TEXTS
        for text in [path.read_text("utf-8")]
        for match in STUMBLES[what].finditer(text)
    ]
    assert not found, f"{what}: {', '.join(found)}"
