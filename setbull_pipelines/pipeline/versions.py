"""Versions of code and inputs, as short hashes that decide whether a partition must be computed again.

Belongs here: hashing the source text that a result depends on. Does not belong here: hashing of data files
(``warehouse/``) and of settings (``settings.fingerprint``).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from pathlib import Path

from setbull_pipelines.market.calendar import NSE

_PACKAGE = Path(__file__).resolve().parents[1]
_SETTINGS = "setbull_pipelines.settings"


@cache
def code_version(*places: str) -> str:
    """Hash the Python code below ``places`` (paths inside the package, folders or files), and the settings it reads.

    Taking the code itself, not a number that people must remember to raise, makes every change of a
    formula a new version. Docstrings and lines of comment are no code. Of ``settings.py`` just the groups count that
    the code imports by name: another default of an alert makes no candle out of date.
    """
    digest = hashlib.blake2b(digest_size=8)
    groups: set[str] = set()
    for source in _sources(places):
        code, settings = _code_of(source)
        digest.update(source.relative_to(_PACKAGE).as_posix().encode())
        digest.update(code)
        groups |= settings
    of_settings = _groups_of_settings()
    for name in sorted(groups & of_settings.keys()):
        digest.update(of_settings[name])
    return digest.hexdigest()


def _sources(places: Iterable[str]) -> Iterator[Path]:
    for place in places:
        path = _PACKAGE / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


@cache
def _code_of(source: Path) -> tuple[bytes, frozenset[str]]:
    """The text of a module without docstrings and lines of comment, and what it imports from the settings."""
    if source.suffix != ".py":
        return source.read_bytes(), frozenset()
    text = source.read_text(encoding="utf-8")
    nodes = list(_nodes(ast.parse(text)))
    settings = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == _SETTINGS
        for alias in node.names
    }
    return _without_words(text, nodes), frozenset(settings)


@cache
def _groups_of_settings() -> dict[str, bytes]:
    """The code of each group of settings, by the name of its class; not of ``Settings``, which holds all of them."""
    text = (_PACKAGE / "settings.py").read_text(encoding="utf-8")
    return {
        node.name: _without_words(segment, list(_nodes(ast.parse(segment))))
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name != "Settings"
        for segment in (ast.get_source_segment(text, node),)
    }


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those inside an expression or a simple statement of one line: most, and none that is asked for."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        is_short = getattr(node, "lineno", None) == getattr(node, "end_lineno", 0)
        if not is_short or hasattr(node, "body"):
            waiting.extend(ast.iter_child_nodes(node))


def _without_words(text: str, nodes: Iterable[ast.AST]) -> bytes:
    """The lines of ``text`` that do something: without strings that stand alone, comments and empty lines."""
    words: set[int] = set()
    inside_text: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):  # a docstring, or the one below an attribute
                words.update(range(node.lineno, node.end_lineno + 1))
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            inside_text.update(range(node.lineno + 1, node.end_lineno + 1))
    doing = []
    for number, line in enumerate(text.splitlines(), 1):
        is_comment = not line.strip() or line.lstrip().startswith("#")
        if number not in words and (number in inside_text or not is_comment):
            doing.append(line.rstrip())
    return "\n".join(doing).encode()


def variant_places(name: str) -> tuple[str, ...]:
    """Where the code lies that a variant's results depend on."""
    return (
        f"variants/{name}",
        "variants/protocol.py",
        "market",
        "tables",
        "pipeline/steps.py",
        "pipeline/engine.py",
        "pipeline/choosing.py",
        "pipeline/computing.py",
        "pipeline/spans.py",
        "pipeline/windows.py",
        "pipeline/isolating.py",
        "pipeline/references.py",
        "pipeline/running.py",
        "pipeline/lanes.py",
        "pipeline/touched.py",
        "warehouse/instrument_hashes.py",
        "rollout/bucketing.py",
    )


def variant_code_version(name: str) -> str:
    """Code version of everything that a variant's results depend on."""
    return code_version(*variant_places(name))


def raw_code_version() -> str:
    """Code version of everything that the raw tables depend on."""
    return code_version("sources", "market", "tables", "pipeline/raw.py")


def combined(hashes: Iterable[str]) -> str:
    """One short hash for an ordered list of hashes."""
    digest = hashlib.blake2b(digest_size=8)
    for item in hashes:
        digest.update(item.encode())
        digest.update(b"\n")
    return digest.hexdigest()


CALENDAR = "calendar"
"""Name among the inputs of partitions of days on which the calendar file says something else than the table."""


def calendar_mark(day: date) -> dict[str, str]:
    """What to add to the inputs of a partition of a trading day: its hours, where the calendar file gives them.

    Other days have no mark, so that a new row of the file makes no partition out of date but those of its day and
    those that look back on it.
    """
    hours = NSE.amended_hours(day)
    return {CALENDAR: hours} if hours else {}
