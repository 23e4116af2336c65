"""The documents as tests read them: their code blocks, lists of keys, and the patches of ``docs/extending.md``.

Belongs here: taking parts out of Markdown and applying patches to texts. Does not belong here: running, assertions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its document, the line after its fence, its language and its text."""

    document: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """For test ids and messages."""
        return f"{self.document}:{self.line}"


def blocks_of(document: Path) -> list[Block]:
    """All fenced blocks of a document in order."""
    content = document.read_text(encoding="utf-8")
    return [
        Block(document.name, content.count("\n", 0, found.start()) + 2, found[1], found[2])
        for found in _BLOCK.finditer(content)
    ]


def patch_of(document: Path, section: str) -> str:
    """All ``diff`` blocks below the heading ``## section``, one after the other; KeyError when there is none."""
    return "".join(text for kind, text in blocks_of_section(document, section) if kind == "diff")


def blocks_of_section(document: Path, section: str) -> list[tuple[str, str]]:
    """Language and text of every block below the heading ``## section``; KeyError when there is none."""
    heading = f"\n## {section}\n"
    _, found, rest = document.read_text(encoding="utf-8").partition(heading)
    if not found:
        raise KeyError(f"{document.name} has no section {section!r}")
    return _BLOCK.findall(rest.partition("\n## ")[0])


def documented_keys(what: str) -> list[str]:
    """The keys of JSON that ``docs/operations.md`` lists in the row of ``what``, without what stands in brackets."""
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    (cell,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", text, re.MULTILINE)
    return re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell))


def patched(files: Mapping[str, str], patch: str) -> dict[str, str]:
    """The files that ``patch`` changes or makes, by path, with their new text.

    ValueError when the lines that a hunk expects are not in its file, or not once.
    """
    changed: dict[str, str] = {}
    path = ""
    hunks: list[list[str]] = []

    def finish() -> None:
        for hunk in hunks:
            before = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "+")
            after = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "-")
            text = changed.get(path, files[path])
            if text.count(before) != 1:
                raise ValueError(
                    f"{path}: found {text.count(before)} times, expected once:\n{before}"
                )
            changed[path] = text.replace(before, after)

    for line in patch.splitlines():
        if line.startswith(("--- ", "+++ ")):
            finish()
            path, hunks = line[4:], []
            if line.startswith("+++ "):
                if path in files:
                    raise ValueError(f"{path}: found it, expected a file that is new")
                changed[path] = ""
        elif line == "@@":
            hunks.append([])
        elif hunks:
            hunks[-1].append(line)
        else:
            changed[path] += f"{line[1:]}\n"
    finish()
    return changed
