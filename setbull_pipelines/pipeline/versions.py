"""Versions of code and inputs, as short hashes that decide whether a partition must be computed again.

Belongs here: hashing the source text that a result depends on. Does not belong here: hashing of data files
(``warehouse/``) and of settings (``settings.fingerprint``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from pathlib import Path

from setbull_pipelines.market.calendar import NSE

_PACKAGE = Path(__file__).resolve().parents[1]
_FROM_SETTINGS = re.compile(
    r"^from setbull_pipelines\.settings import (\([^)]*\)|[^\n]*)", re.MULTILINE
)
_CLASS = re.compile(r"^class (\w+)[(:](.*?)(?=^[@\w\"#]|\Z)", re.MULTILINE | re.DOTALL)
_COMPUTING = "settings/computing.py"
_TOKEN = re.compile(
    r"#[^\n]*"
    r'|"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    re.DOTALL,
)
"""A comment, or a string without its prefix: each alternative begins with one character, which is searched for."""
_PREFIX = "rRbBfFuU"
_GAP = "\0"
"""Stands for a string that is code."""


@cache
def code_version(*places: str) -> str:
    """Hash the Python code below ``places`` (paths inside the package, folders or files), and the settings it reads.

    Taking the code itself, not a number that people must remember to raise, makes every change of a
    formula a new version. Docstrings and lines of comment are no code. Those groups of settings count that are
    for computing and that the code imports by name: no default of an alert, of the API or of reading files makes a
    candle out of date. What files hold as they are read is part of what was landed.
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
    """The text of a module without its words, and what it imports from the settings."""
    if source.suffix != ".py":
        return source.read_bytes(), frozenset()
    text = source.read_text(encoding="utf-8")
    names = (re.findall(r"\w+", found) for found in _FROM_SETTINGS.findall(text))
    return _without_words(text), frozenset(name for found in names for name in found)


@cache
def _groups_of_settings() -> dict[str, bytes]:
    """The code of each group of settings for computing, by the name of its class."""
    text = (_PACKAGE / _COMPUTING).read_text(encoding="utf-8")
    return {name: _without_words(body) for name, body in _CLASS.findall(text)}


def _without_words(text: str) -> bytes:
    """The code in ``text``: without strings that stand alone, comments, empty lines and spaces at the ends of lines.

    Its strings come behind it, each with a gap in its place. By pattern and not by syntax tree, which takes twenty
    times as long whenever the definitions are loaded, and is another one in each release of Python.
    """
    code, strings, counted, depth, end = [], [], 0, 0, 0
    for token in _TOKEN.finditer(text):
        start = token.start()
        before, end = text[end:start], token.end()
        if text[start] == "#":
            code.append(before)
            continue
        code.append(before.rstrip(_PREFIX))
        prefix = before[len(code[-1]) :]
        if not text[text.rfind("\n", 0, start) + 1 : start - len(prefix)].strip():
            between = "".join(code[counted:])
            depth += sum(map(between.count, "([{")) - sum(map(between.count, ")]}"))
            counted = len(code)
            if depth == 0:
                continue
        code.append(_GAP)
        strings.append(prefix + token[0])
    code.append(text[end:])
    lines = [line.rstrip() for line in "".join(code).splitlines() if line.strip()]
    return "\n".join(lines + strings).encode()


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
