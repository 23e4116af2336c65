"""What people decided about overnight gaps: accepted corporate actions, genuine moves, proposals that were refused.

Belongs here: the journal of decisions in the data folder, and the file of what they come to, which intake reads like
any other. Does not belong here: finding gaps (``quality/gaps.py``), reading files of actions (``corporate_files.py``).

The journal only grows, each row with who, when and why; the file of accepted actions follows from it.
"""

from __future__ import annotations

import csv
import fcntl
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from pathlib import Path

from setbull_pipelines import disk
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.tables.actions import GENUINE

ACCEPTED, REJECTED = "accepted", "rejected"
SOURCE = "decided actions"
"""How the accepted actions are named in ``raw.intake``."""
_JOURNAL, _ACCEPTED_FILE, _LOCK = "decisions.csv", "accepted.csv", ".lock"


class DamagedDecisions(SetbullError, ValueError):
    """The journal cannot be read; the message names the line and what to do."""


@dataclass(frozen=True)
class Decision:
    """One row of the journal. Kind and ratio of a rejection say what it refused or took back, where known."""

    decided_at: datetime
    by: str
    decision: str
    instrument_key: str
    ex_date: date
    kind: str
    ratio: str
    reason: str


def folder_of(data_directory: Path) -> Path:
    """Where the decisions of a data folder are kept."""
    return data_directory / "actions"


def accepted_file(data_directory: Path) -> Path:
    """The file that intake reads beside the input; it is there while something is accepted."""
    return folder_of(data_directory) / _ACCEPTED_FILE


def read_decisions(data_directory: Path) -> list[Decision]:
    """The journal, oldest first; empty before the first decision. Raises DamagedDecisions."""
    path = folder_of(data_directory) / _JOURNAL
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise DamagedDecisions(
            f"{path}: cannot be read ({error}); restore the file from a backup"
        ) from None
    rows = []
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        try:
            rows.append(
                Decision(
                    decided_at=datetime.fromisoformat(row.pop("decided_at")),
                    ex_date=date.fromisoformat(row.pop("ex_date")),
                    **row,
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedDecisions(
                f"{path}, line {reader.line_num}: cannot be read ({error}); restore the file from a backup"
            ) from None
    return rows


def in_force(decisions: Iterable[Decision]) -> list[Decision]:
    """The accepted decisions that no later one takes back, by instrument and day.

    A genuine move and an action of one day exclude each other; of two of one kind the later counts.
    """
    standing: dict[tuple[str, date], dict[str, Decision]] = {}
    for row in decisions:
        of_day = standing.setdefault((row.instrument_key, row.ex_date), {})
        if row.decision == REJECTED or row.kind == GENUINE:
            of_day.clear()
        else:
            of_day.pop(GENUINE, None)
        if row.decision == ACCEPTED:
            of_day[row.kind] = row
    return [row for key in sorted(standing) for row in standing[key].values()]


def record(data_directory: Path, decision: Decision) -> None:
    """Add a decision and write the file of what is accepted anew, each whole or not at all."""
    folder = folder_of(data_directory)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = [*read_decisions(data_directory), decision]
        disk.sweep(folder)
        _replace(folder / _JOURNAL, rows)
        if standing := in_force(rows):
            _replace(folder / _ACCEPTED_FILE, standing)
        else:
            (folder / _ACCEPTED_FILE).unlink(missing_ok=True)


def _replace(path: Path, rows: Sequence[Decision]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([item.name for item in fields(Decision)])
    for row in rows:
        writer.writerow(
            value.isoformat() if isinstance(value, date) else value for value in astuple(row)
        )
    disk.replace_durably(path, text.getvalue().encode())
