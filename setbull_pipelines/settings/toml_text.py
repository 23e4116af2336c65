"""Values as a settings file writes them.

Belongs here: one value as TOML. Does not belong here: reading TOML, which Python does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def toml_line(key: str, value: Any) -> str | None:
    """``key = value``; None for a setting that a file leaves out instead (TOML has no null)."""
    return None if value is None else f"{key} = {toml_value(value)}"


def toml_value(value: Any) -> str:
    """One value. JSON's texts, numbers and truth values are TOML's, its tables are not."""
    if isinstance(value, Mapping):
        inside = ", ".join(
            f"{json.dumps(name, ensure_ascii=False)} = {toml_value(each)}"
            for name, each in value.items()
        )
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
