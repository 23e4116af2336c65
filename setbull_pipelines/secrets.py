"""Texts of errors without the secrets of the environment.

Belongs here: which values of the environment are secret, and texts without them. Does not belong here: who writes the
texts; the errors of one library that contain parts of a URL (``pipeline/channels``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

_NAMES = re.compile(r"TOKEN|PASSWORD|SECRET|CREDENTIAL|ACCESS_KEY|DATABASE_URL|IMPORT_URL")
_OPEN_SCHEMES = ("http", "https", "file", "s3")
"""Addresses of these are secret only with a password; one of any other scheme is a receiver's, with its token."""
_SHORTEST = 4
"""Shorter values of the environment would be replaced in the middle of words."""


def without_secrets(text: str) -> str:
    """``text`` with ``***`` for every secret value of the environment."""
    for value in sorted(set(_values()), key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def _values() -> Iterator[str]:
    for name, value in os.environ.items():
        found = [value] if _NAMES.search(name) else []
        if "://" in value:
            found += _of_address(value)
        yield from (each for each in found if len(each) >= _SHORTEST)


def _of_address(value: str) -> Iterator[str]:
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    if parts.password:
        yield from (value, parts.password, unquote(parts.password))
    elif parts.scheme not in _OPEN_SCHEMES:
        yield value
