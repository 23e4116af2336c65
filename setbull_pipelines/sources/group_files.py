"""The file of stock groups: which instruments are entered together, and how.

Belongs here: reading and judging its rows. Does not belong here: reading bytes (``raw_rows.py``), what a plan makes of
a group (``groups/``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from setbull_pipelines.market.instruments import InvalidInstrumentKey, parse_instrument_key
from setbull_pipelines.sources.instrument_columns import EQUITY_SEGMENT
from setbull_pipelines.sources.raw_rows import UnreadableFile, records, texts
from setbull_pipelines.sources.reading import read_rows
from setbull_pipelines.tables import STOCK_GROUPS, STOCK_GROUPS_QUARANTINE
from setbull_pipelines.tables.groups import DIRECTIONS, DYNAMIC, ENTRY_TYPES, POSITION_TYPES

REQUIRED = ("group_id", "instrument_key", "entry_type", "stop_loss_percent")
OPTIONAL = ("direction", "position_type")
MOST_INSTRUMENTS = 5
"""Instruments in one group."""
_HIGHEST_STOP_LOSS = 5.0


@dataclass(frozen=True)
class CheckedGroups:
    """The rows of a file of groups, judged: ``raw.stock_groups`` and ``raw.stock_groups_quarantine``."""

    groups: pd.DataFrame
    rejected: pd.DataFrame


def read_groups(path: Path) -> CheckedGroups:
    """Read and judge a file of groups. UnreadableFile names the file when it cannot be used as a whole."""
    try:
        return check_groups(path.read_bytes(), path.name)
    except OSError as error:
        raise UnreadableFile(
            f"setting groups.file: found {str(path)!r}, expected a readable CSV file ({error.strerror})"
        ) from error
    except UnreadableFile as error:
        raise UnreadableFile(f"setting groups.file: {path.name}: {error}") from error


def check_groups(content: bytes, source: str) -> CheckedGroups:
    """Judge every row of a CSV; ``source`` is what the rows are recorded under. Raises UnreadableFile."""
    rows = read_rows(content, ".csv")
    missing = [name for name in REQUIRED if name not in rows.names]
    unknown = [name for name in rows.names if name not in (*REQUIRED, *OPTIONAL, "symbol")]
    if missing or unknown:
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names)}, expected {', '.join(REQUIRED)}, and at most also "
            f"{', '.join(OPTIONAL)} and symbol"
        )
    columns = {
        name: texts(column) for name, column in zip(rows.names, rows.columns.columns, strict=True)
    }
    as_found = records(rows.names, columns.values())
    members: list[dict[str, Any]] = []
    rejected = [
        {
            "line": malformed.line,
            "rule": "malformed row",
            "value": malformed.text,
            "reason": malformed.reason,
            "record": records(["row"], [[malformed.text]])[0],
        }
        for malformed in rows.malformed
    ]

    def reject(row: int, fault: _Fault) -> None:
        rejected.append(
            {
                "line": int(rows.lines[row]),
                "instrument_key": columns["instrument_key"][row],
                "rule": fault.rule,
                "column": fault.column,
                "value": fault.value,
                "reason": str(fault),
                "record": as_found[row],
            }
        )

    for row in range(len(as_found)):
        found = {name: (values[row] or "").strip() for name, values in columns.items()}
        try:
            member = _member(found) | {"line": int(rows.lines[row]), "row": row}
            _require_room(member, members)
        except _Fault as fault:
            reject(row, fault)
            continue
        members.append(member)
    for group, same in _repeated_groups(members).items():
        for member in (each for each in members if each["group_id"] == group):
            expected = f"another set of instruments or entry type than that of group {same}"
            reject(member["row"], _Fault("repeated group", "group_id", group, expected))
        members = [member for member in members if member["group_id"] != group]
    groups = pd.DataFrame(members, columns=[*STOCK_GROUPS.column_names, "row"]).drop(columns="row")
    refused = pd.DataFrame(rejected, columns=STOCK_GROUPS_QUARANTINE.column_names)
    return CheckedGroups(
        STOCK_GROUPS.conform(groups), STOCK_GROUPS_QUARANTINE.conform(refused.assign(source=source))
    )


class _Fault(Exception):
    """Why a row is not a member of a group."""

    def __init__(self, rule: str, column: str, value: str, expected: str) -> None:
        super().__init__(f"Found {value!r} in column {column}, expected {expected}.")
        self.rule, self.column, self.value = rule, column, value


def _member(found: Mapping[str, str]) -> dict[str, Any]:
    if not found["group_id"]:
        raise _Fault("invalid group", "group_id", "", "the name of a group")
    key = found["instrument_key"]
    try:
        segment = parse_instrument_key(key).segment
    except InvalidInstrumentKey:
        segment = None
    if segment != EQUITY_SEGMENT:
        raise _Fault("invalid instrument", "instrument_key", key, f"a stock of {EQUITY_SEGMENT}")
    try:
        stop_loss = float(found["stop_loss_percent"])
    except ValueError:
        stop_loss = float("nan")
    if not 0 < stop_loss <= _HIGHEST_STOP_LOSS:
        expected = f"a number above 0 and at most {_HIGHEST_STOP_LOSS:g}"
        raise _Fault("invalid stop", "stop_loss_percent", found["stop_loss_percent"], expected)
    return {
        "group_id": found["group_id"],
        "instrument_key": key,
        "entry_type": _one_of(found, "entry_type", ENTRY_TYPES),
        "direction": _one_of(found, "direction", DIRECTIONS, None),
        "stop_loss_percent": stop_loss,
        "position_type": _one_of(found, "position_type", POSITION_TYPES, DYNAMIC),
    }


def _one_of(
    found: Mapping[str, str], column: str, allowed: tuple[str, ...], *default: str | None
) -> str | None:
    """The value of a column in capitals; ``default`` for one that may be left out."""
    value = found.get(column, "")
    if not value and default:
        return default[0]
    if value.upper() not in allowed:
        expected = f"one of {', '.join(allowed)}{', or nothing' if default else ''}"
        raise _Fault(f"invalid {column.replace('_', ' ')}", column, value, expected)
    return value.upper()


def _require_room(member: Mapping[str, Any], members: list[dict[str, Any]]) -> None:
    """A group has one entry type, and at most :data:`MOST_INSTRUMENTS` instruments, each once."""
    others = [each for each in members if each["group_id"] == member["group_id"]]
    if not others:
        return
    if member["entry_type"] != others[0]["entry_type"]:
        expected = f"{others[0]['entry_type']} as in line {others[0]['line']} of the same group"
        raise _Fault("mixed group", "entry_type", member["entry_type"], expected)
    if member["instrument_key"] in {each["instrument_key"] for each in others}:
        expected = f"an instrument once in group {member['group_id']}"
        raise _Fault("repeated instrument", "instrument_key", member["instrument_key"], expected)
    if len(others) == MOST_INSTRUMENTS:
        expected = f"at most {MOST_INSTRUMENTS} instruments in a group"
        raise _Fault("full group", "group_id", member["group_id"], expected)


def _repeated_groups(members: list[dict[str, Any]]) -> dict[str, str]:
    """Groups with the entry type and the instruments of an earlier one, and which."""
    sizes = Counter(member["group_id"] for member in members)
    known: dict[tuple[str, frozenset[str]], str] = {}
    repeated = {}
    for group in sizes:  # in the order of the file
        own = [member for member in members if member["group_id"] == group]
        content = own[0]["entry_type"], frozenset(member["instrument_key"] for member in own)
        if content in known:
            repeated[group] = known[content]
        else:
            known[content] = group
    return repeated
