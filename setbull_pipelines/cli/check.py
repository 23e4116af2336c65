"""``setbull check``: what an input is understood as, without computing anything.

Belongs here: the report on an input, as lines and as JSON, and its exit code. Does not belong here: understanding files
(``sources/``), options (``main.py``).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from setbull_pipelines.cli.reading_options import as_words
from setbull_pipelines.cli.terminal import beside_the_answer
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.progress import following_files
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.candle_rules import OTHER_SERIES
from setbull_pipelines.sources.intake import Intake, NoCandles, take_in
from setbull_pipelines.sources.landing import NOT_READ_KIND
from setbull_pipelines.sources.looking import FileLook, Refusal, holes_by_series, looks
from setbull_pipelines.sources.moments import DAILY, MINUTES
from setbull_pipelines.tables.look_back import history_needed

ACCEPTED, PARTLY, NOTHING = 0, 1, 2
"""Exit codes: everything, something, nothing was accepted."""
_FILES_SHOWN = 12
_REFUSALS_SHOWN = 6
_FILES_SHOWN_WITH_ROWS = 3
_HOLES_SHOWN = 5
_AS_ASKED = (NOT_READ_KIND, OTHER_SERIES)
"""Rules of rows and files that are left out because of what the settings, or the names of files, say."""


@dataclass(frozen=True)
class Report:
    """What is understood of an input."""

    input: str
    files: list[FileLook]
    instruments: int
    missing: list[str]
    next: str

    @property
    def accepted(self) -> int:
        """Candles that were accepted."""
        return sum(file.accepted for file in self.files if file.kind in (MINUTES, DAILY))

    @property
    def refusals(self) -> list[Refusal]:
        """What is not used, of all files."""
        return [refusal for file in self.files for refusal in file.refusals]

    @property
    def paste(self) -> dict[str, Any]:
        """Settings of ``[input]`` that the refusals ask for, with what is not known as an example."""
        merged: dict[str, Any] = {}
        for refusal in self.refusals:
            for name, value in refusal.paste.items():
                before = merged.get(name)
                merged[name] = {**before, **value} if isinstance(before, dict) else value
        return merged

    @property
    def exit_code(self) -> int:
        """Whether everything, something or nothing was accepted; what nobody asked for does not count."""
        if not self.accepted:
            return NOTHING
        meant = [refusal for refusal in self.refusals if refusal.rule not in _AS_ASKED]
        return PARTLY if meant else ACCEPTED

    def as_json(self) -> str:
        """The report for programs."""
        document = {
            "input": self.input,
            "received": sum(file.received for file in self.files),
            "accepted": self.accepted,
            "instruments": self.instruments,
            "files": [file.as_dict() for file in self.files],
            "missing": self.missing,
            "paste": self.paste,
            "next": self.next,
            "exit_code": self.exit_code,
        }
        return json.dumps(document, indent=2, ensure_ascii=False)


def check(input: Path, settings: Settings, given: Mapping[str, Any]) -> Report:
    """Read an input as a run would, and forget it. Raises NoInput where there is no file to read."""
    with TemporaryDirectory(prefix="setbull-check-") as landing, beside_the_answer():
        try:
            intake = take_in(
                input,
                Path(landing),
                settings.sample,
                datetime.now(UTC),
                following_files(),
                reading=settings.reading,
            )
        except NoCandles as error:
            intake = error.intake
        return report_on(str(input), intake, settings, given)


def report_on(input: str, intake: Intake, settings: Settings, given: Mapping[str, Any]) -> Report:
    """The report on what was taken in."""
    files = looks(intake)
    accepted = sum(file.accepted for file in files if file.kind in (MINUTES, DAILY))
    command = f"setbull run --input {shlex.quote(input)}{as_words(given)}"
    refused = [file for file in files if file.is_refused]
    if not accepted:
        following = "nothing can be run: no row was accepted, for the reasons above"
    elif refused:
        following = f"without the {len(refused)} files that are refused: {command}"
    else:
        following = command
    today = now().date()
    missing = [*_future(intake, today), *_missing(intake, settings, today)]
    return Report(input, files, len(intake.coverage), missing, following)


def lines_of(report: Report, every_file: bool = False) -> list[str]:
    """The report as lines of a terminal."""
    shown = report.files if every_file else _worst_first(report.files)[:_FILES_SHOWN]
    lines = []
    told: set[str | None] = set()
    for file in shown:
        with_rows = len(shown) <= _FILES_SHOWN_WITH_ROWS or file.taken_for not in told
        lines += _lines_of_file(file, with_rows)
        told.add(file.taken_for)
    if left := len(report.files) - len(shown):
        lines.append(f"and {left} more files (--json has all)")
    if report.missing:
        lines += ["", "what is missing:", *(f"  {sentence}" for sentence in report.missing)]
    if report.paste:
        lines += ["", *_lines_to_paste(report)]
    received = sum(file.received for file in report.files)
    lines += [
        "",
        f"{report.accepted:,} candles accepted of {received:,} rows in {len(report.files)} files, "
        f"{report.instruments:,} series of instruments",
        f"next: {report.next}",
    ]
    return lines


def _lines_to_paste(report: Report) -> list[str]:
    lines = [
        "to paste into the settings file (SETBULL_SETTINGS), with your own values where they are an example:",
        "  [input]",
        *(f"  {name} = {_toml(value)}" for name, value in report.paste.items()),
        f"or: setbull check {shlex.quote(report.input)}{as_words(report.paste)}",
    ]
    if len(report.files) > 1 and set(report.paste) - {"symbols"}:
        lines.append(
            "these hold for every file of an input: put files that need others into a folder of their own"
        )
    return lines


def _toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(name, ensure_ascii=False)} = {_toml(said)}"
            for name, said in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)


def _worst_first(files: Sequence[FileLook]) -> list[FileLook]:
    """Files that are refused, then those with rejected rows, then the others; otherwise as they are named."""
    return sorted(files, key=lambda file: (not file.is_refused, not file.refusals))


def _lines_of_file(file: FileLook, with_rows: bool) -> list[str]:
    if file.is_refused or file.kind == NOT_READ_KIND:
        word = "refused" if file.is_refused else "not read"
        refusal = file.refusals[0]
        lines = [f"{file.file}: {word} ({refusal.rule})", f"  {refusal.reason}"]
        return lines
    lines = [f"{file.file}: {file.taken_for}"]
    counts = f"  {file.accepted:,} of {file.received:,} rows accepted"
    if file.instruments:
        names = ", ".join(file.first_instruments)
        more = f" and {file.instruments - len(file.first_instruments)} more"
        counts += f", {file.days} days from {file.first_day} to {file.last_day}, of {names}"
        counts += more if file.instruments > len(file.first_instruments) else ""
    lines.append(counts)
    for word, row in (("first", file.first_row), ("last", file.last_row)):
        if row and with_rows:
            values = " ".join(
                f"{name} {'not known' if row[name] is None else row[name]}"
                for name in ("open", "high", "low", "close", "volume")
            )
            lines.append(
                f"  {word}: {row['instrument_key']} {row['timestamp']} {values} (line {row['line']})"
            )
    if file.ignored_columns:
        lines.append(f"  columns that are not used: {', '.join(file.ignored_columns)}")
    for refusal in file.refusals[:_REFUSALS_SHOWN]:
        where = f", the first in line {refusal.line}" if refusal.line else ""
        lines.append(f"  {refusal.count:,} rows rejected, {refusal.rule}{where}: {refusal.reason}")
    return lines


def _future(intake: Intake, today: date) -> list[str]:
    """Days that have not been, which a wrong year, or month and day the wrong way round, make of others."""
    days = sorted({*intake.days(MINUTES), *intake.days(DAILY)})
    future = [day for day in days if day > today]
    if not future:
        return []
    return [
        f"{len(future)} days of {len(days)}, from {future[0]} to {future[-1]}, lie in the future: their rows are kept, "
        "and nothing is computed of them before their sessions have closed; look whether year, month and day are right"
    ]


def _missing(intake: Intake, settings: Settings, today: date) -> list[str]:
    """What tables need that the input does not have."""
    minutes, daily = (
        [day for day in intake.days(kind) if day <= today] for kind in (MINUTES, DAILY)
    )
    if not (minutes or daily):
        return []
    sentences = []
    of_exchange = intake.coverage[intake.coverage["series"] == "exchange"]
    longest = max(of_exchange["rows"], default=0)  # there are days with rejected rows alone
    have = max(longest, len(minutes))
    needed, begin = history_needed(max([*minutes[-1:], *daily[-1:]]), settings)
    if have < needed:
        where = f" from {begin}" if begin else ""
        sentences.append(
            f"filters need {needed} daily bars{where}, you have {have}; until then they say 'not enough data' "
            "(exchange day files, or setbull fetch --interval day, bring them)"
        )
    sentences += [
        f"{hole.instrument_key} has no bar on {', '.join(hole.days[:_HOLES_SHOWN])}, where it is in series "
        f"{hole.series}, although it has some before and after: --series "
        f"{','.join((*settings.reading.series, hole.series))} keeps them"
        for hole in holes_by_series(intake)[:_HOLES_SHOWN]
    ]
    if not minutes:
        sentences.append(
            "5-minute bars, VWAP, band widths and plans of groups need one-minute candles, you have daily bars only"
        )
    return sentences
