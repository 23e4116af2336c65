"""The month of the soak: nine instruments in December, and the files that a source delivers of each session.

Belongs here: which sessions there are, what is delivered when, what is special about a session. Does not belong here:
faults (``soak_faults``), processes.

A split is announced on the morning of its day; a stock gets another key, as after a new ISIN; two old bars are
corrected; one session is the Muhurat hour of a Sunday, which only the calendar file knows; Christmas is closed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.reliability.tiny import Place, carried_out

INDIA = ZoneInfo("Asia/Kolkata")
SETTINGS = """\
[indicators]
warm_margin_bars = 10
[bb_width]
look_back_sessions = 2
minimum_sessions = 1
[look_back]
sessions_moves = 21
[sample]
instruments = 14
daily_sessions = 60
minute_sessions = 23
last_day = "2026-12-31"
[reconciliation]
noise_instruments = 0
[rollout]
sessions_per_stage = 1
minimum_instruments = 5
minimum_rows = 10
minimum_cohort = 1
# A busy machine is no fault of V2.
maximum_calculation_seconds = 1000
maximum_aggregation_seconds = 1000
minimum_seconds_compared = 1000
maximum_worker_share = 1
highest_automatic_stage = "50"
[quality]
# Nine stocks have no usual shares.
maximum_share_jump = 1
[storage]
keep_versions = 2
runs_days = 6
[calendar]
file = "{calendar}"
"""
CALENDAR = """\
date,kind,intervals,source
2026-11-08,muhurat,13:45-14:45,a test
2026-12-27,muhurat,18:00-19:00,a test
"""
NEXT_YEAR = "2027-01-26,holiday,,a test\n2027-12-31,published,,a test\n"
MUHURAT, HOLIDAY = date(2026, 12, 27), date(2026, 12, 25)
_INSTRUMENTS = (1, 2, 4, 9, 10, 11, 12, 13, 14)
"""Those of the sample that rise, fall, cost little, climb, are locked, are split and are newly listed, and two more: of
each part of the rollout one of them is among the first ten percent."""
SPLIT_DAY = date(2026, 12, 24)
_RENAMED, RENAMED_ON = ("NSE_EQ|SAMPLE0009", "NSE_EQ|RENAMED09"), date(2026, 12, 22)
CORRECTED, CORRECTED_AFTER = date(2026, 12, 23), date(2026, 12, 29)
_ANNOUNCED = {
    SPLIT_DAY: ("corporate_actions.csv",),
    RENAMED_ON: ("aliases.csv", "instruments renamed.csv"),
}
"""Files that come with a session."""


@dataclass(frozen=True)
class Market:
    """All files of the month, of which deliveries are made."""

    folder: Path
    days: tuple[date, ...]
    """The first is the session before the story, which a person runs."""

    def last(self, sessions: int) -> Market:
        """The same month with so many sessions, the last ones."""
        return replace(self, days=self.days[-sessions - 1 :])

    def deliver(self, day: date, inbox: Path) -> None:
        """Put into ``inbox`` what the source has of a session, with what it corrects and announces that day."""
        inbox.mkdir(parents=True, exist_ok=True)
        first = self.days[0]
        if day == first:
            self._put("instruments.csv", inbox)
            self._put("daily history.csv", inbox)
            for earlier in self.folder.glob("daily 2*.csv"):
                if earlier.stem[-10:] < str(first):
                    self._put(earlier.name, inbox)
        for kind in ("minutes", "daily"):
            self._put(f"{kind} {day}.csv", inbox)
        for known_on, names in _ANNOUNCED.items():
            if day == max(known_on, first):
                for name in names:
                    self._put(name, inbox)
        if day == CORRECTED_AFTER and CORRECTED in self.days:
            self._put(f"minutes {CORRECTED} corrected.csv", inbox, f"minutes {CORRECTED}.csv")

    def _put(self, name: str, inbox: Path, known_as: str = "") -> None:
        target = inbox / (known_as or name)
        written = inbox / f".{name}"
        shutil.copyfile(self.folder / name, written)
        written.replace(target)


def place_below(directory: Path) -> Place:
    """A place with the calendar of before the month."""
    calendar = directory / "calendar.csv"
    place = Place.below(directory, SETTINGS.format(calendar=calendar))
    calendar.write_text(CALENDAR, encoding="utf-8")
    return place


def closes_at(day: date) -> datetime:
    """When all minutes of a session are there, some minutes after its end."""
    return datetime.combine(day, time(19, 10) if day == MUHURAT else time(15, 50), INDIA)


def made(directory: Path) -> Market:
    """Invent the month once, in a process of its own."""
    folder = directory / "deliveries"
    days = folder / "days.json"
    if not days.exists():
        place = place_below(directory / "inventing")
        folder.mkdir(parents=True, exist_ok=True)
        if carried_out(lambda: _invent(folder), place):
            raise SystemExit(place.told[-2000:])
    return Market(folder, tuple(map(date.fromisoformat, json.loads(days.read_text()))))


def _invent(folder: Path) -> None:
    import pandas as pd

    from setbull_pipelines.cli.starting import settings_in_force
    from setbull_pipelines.sources.sample import generate

    settings = settings_in_force()
    old, new = _RENAMED
    keys = {f"NSE_EQ|SAMPLE{number:04d}" for number in _INSTRUMENTS}

    def of_month(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.assign(instrument_key=rows["instrument_key"].astype(str))
        rows = rows[rows["instrument_key"].isin(keys)]
        if "timestamp" not in rows:
            return rows
        rows = rows.assign(timestamp=rows["timestamp"].map(str))
        renamed = (rows["timestamp"].str[:10] >= str(RENAMED_ON)) & (rows["instrument_key"] == old)
        return rows.assign(instrument_key=rows["instrument_key"].mask(renamed, new))

    def write(rows: pd.DataFrame, name: str) -> None:
        rows.to_csv(folder / f"{name}.csv", index=False)

    minutes: dict[date, pd.DataFrame] = {}
    sample = generate(
        settings.sample,
        lambda day, rows: minutes.update({day: of_month(rows.columns.to_pandas())}),
    )
    daily = of_month(sample.daily.columns.to_pandas())
    days = sorted(minutes)
    for day in days:
        write(minutes[day], f"minutes {day}")
        write(daily[daily["timestamp"] == str(day)], f"daily {day}")
    write(daily[daily["timestamp"] < str(days[0])], "daily history")
    corrected = minutes[CORRECTED].copy()
    corrected.iloc[[100, 200], corrected.columns.get_loc("volume")] += 17
    write(corrected, f"minutes {CORRECTED} corrected")
    instruments = of_month(sample.instruments.columns.to_pandas())
    write(instruments, "instruments")
    write(
        instruments[instruments["instrument_key"] == old].assign(
            instrument_key=new, symbol=new.partition("|")[2]
        ),
        "instruments renamed",
    )
    write(of_month(sample.corporate_actions.columns.to_pandas()), "corporate_actions")
    alias = [{"old_instrument_key": old, "new_instrument_key": new, "from_date": RENAMED_ON}]
    write(pd.DataFrame(alias), "aliases")
    (folder / "days.json").write_text(json.dumps([str(day) for day in days]), encoding="utf-8")
