"""Options that say how input files are to be understood: the settings of ``[input]``, one option each.

Belongs here: options to settings, and settings to the words of a command. Does not belong here: what they do
(``sources/``), their limits (``settings/connecting.py``).
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import click

from setbull_pipelines.settings import InputSettings

_TEXTS = {
    "timezone": "Time zone of timestamps without offset, such as Asia/Kolkata or UTC.",
    "timestamp_format": "How timestamps are written, in the format of strptime.",
    "symbol_pattern": "Regular expression for file names, whose first group is the symbol.",
    "separator": "What separates fields: one character, or tab.",
}
_CHOICES = {
    "label": (("start", "end"), "Whether timestamps are the start or the end of bars."),
    "interval": (("minute", "day"), "How long bars are."),
    "symbol_from": (("file name",), "The whole name of a file is its symbol."),
    "decimal": ((".", ","), "Decimal sign."),
    "volume": (("per bar", "cumulative"), "Whether volume is that of a bar or a running total."),
    "exchange": (("NSE", "BSE"), "Where symbols are listed."),
}
_PAIRS = {
    "columns": (
        "--columns",
        "FOUND=EXPECTED,...",
        "Expected names of columns: date=timestamp,vol=volume.",
    ),
    "symbols": ("--symbol", "FILE=SYMBOL", "The symbol or key of one file; can be repeated."),
}


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it is called with ``reading``, the settings that were given."""

    def called(*arguments: Any, **given: Any) -> Any:
        names = [field.name for field in dataclasses.fields(InputSettings)]
        chosen = {name: given.pop(name) for name in names}
        return command(*arguments, reading=_without_what_was_not_given(chosen), **given)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__dict__.update(command.__dict__)
    for option in reversed(_options()):
        called = option(called)
    return called


def with_options(settings: InputSettings, given: Mapping[str, Any]) -> InputSettings:
    """The settings of the file with what was given beside them; names add up."""
    merged = {
        name: {**getattr(settings, name), **value} if isinstance(value, dict) else value
        for name, value in given.items()
    }
    return dataclasses.replace(settings, **merged)


def as_words(given: Mapping[str, Any]) -> str:
    """The options as one types them, with a blank before each."""
    words = []
    for name, value in given.items():
        if name == "columns":
            words.append(
                ("--columns", ",".join(f"{found}={said}" for found, said in value.items()))
            )
        elif name == "symbols":
            words += [("--symbol", f"{file}={symbol}") for file, symbol in value.items()]
        elif name == "day_first":
            words.append(("--day-first" if value else "--month-first",))
        elif name == "series":
            words.append(("--series", ",".join(value)))
        else:
            words.append((f"--{name.replace('_', '-')}", str(value)))
    return "".join(f" {shlex.join(word)}" for word in words)


def _options() -> list[Callable[..., Any]]:
    def option(name: str, *also: str, **more: Any) -> Callable[..., Any]:
        return click.option(*(also or (f"--{name.replace('_', '-')}",)), name, **more)

    return [
        *(
            option(name, written, metavar=shown, multiple=True, callback=_pairs, help=told)
            for name, (written, shown, told) in _PAIRS.items()
        ),
        *(option(name, help=told) for name, told in _TEXTS.items()),
        option(
            "day_first",
            "--day-first/--month-first",
            default=None,
            help="Which comes first in dates such as 02-06-2025.",
        ),
        *(
            option(name, type=click.Choice(choices), help=told)
            for name, (choices, told) in _CHOICES.items()
        ),
        option("series", callback=_list, help="Series of the exchange's day files: EQ,BE,SM."),
        option(
            "unpacked_limit_mib",
            type=click.IntRange(1),
            help="The most that one compressed file may hold, in MiB.",
        ),
    ]


def _pairs(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for text in given:
        for part in text.split(",") if parameter.name == "columns" else [text]:
            found, sign, said = part.rpartition("=")
            if not (sign and found.strip() and said.strip()):
                raise click.BadParameter(f"found {part!r}, expected {parameter.metavar}")
            pairs[found.strip()] = said.strip()
    return pairs or None


def _list(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in given.split(",")) if given else None


def _without_what_was_not_given(chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if value is not None}
