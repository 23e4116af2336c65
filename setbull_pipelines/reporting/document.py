"""What the pages of this room are put together of: the files beside it, embedded data, the policy, the chart library.

Belongs here: what two pages need. Does not belong here: one page.

Nothing in a document can load anything or run other scripts: its content security policy allows the inline scripts, by
their hashes. Values from data are escaped by the template, and in JSON a ``<`` is written as ``\\u003c``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

CHART_LIBRARY = ("litecharts", "js/lightweight-charts.js")
"""The package that brings TradingView's script, as released by them, and the place of it inside."""


def embedded(data: object) -> str:
    """JSON that cannot end the element it stands in, whatever the data say."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def policy_of(*scripts: str) -> str:
    """The policy of a document with these scripts."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def part(name: str) -> str:
    """The text of a file of this room."""
    return (files("setbull_pipelines.reporting") / name).read_text(encoding="utf-8")


@cache
def chart_library() -> str:
    """The script that draws charts."""
    package, path = CHART_LIBRARY
    return (files(package) / path).read_text(encoding="utf-8")


def template_of(name: str, filters: Mapping[str, Callable[..., Any]]) -> Template:
    """The template of a file of this room; every value is escaped, and one that is not given is an error."""
    # Loading the library takes time that loading the definitions must not pay.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= filters
    return environment.from_string(part(name))
