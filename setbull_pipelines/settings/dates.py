"""Whether a text of a setting is a date: asked by several groups of settings."""

from __future__ import annotations

from datetime import date


def is_date(text: str) -> bool:
    """Whether ``text`` is a date as ISO writes it, such as 2026-06-30."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
