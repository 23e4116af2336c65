"""Moments as texts: ISO, dates with days or months first, month names, clocks of 12 hours, epochs.

Belongs here: a distinct text to a wall clock and what it says of its zone. Does not belong here: what a moment is of
(``moments.py``), sessions.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.tables.contract import INDIA

AWARE, DATE, NAIVE, UNREADABLE = "aware", "date", "naive", "unreadable"

_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
_ISO_NAIVE = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?$"
_ISO_AWARE = _ISO_NAIVE[:-1] + r"(?:Z|[+-]\d{2}:?\d{2})$"
_EPOCH = r"^\d{9,19}(?:\.\d+)?$"
_EXPONENT = r"^\d(?:\.\d+)?[eE]\+?\d{1,2}$"
_FEWEST_DIGITS_OF_EPOCHS = 8
"""Fewer do not tell one minute from the next."""
_EPOCH_UNITS = (
    ("seconds", 1),
    ("milliseconds", 10**3),
    ("microseconds", 10**6),
    ("nanoseconds", 10**9),
)
_EPOCH_FROM, _EPOCH_TO = 631_152_000, 4_102_444_800  # 1990 and 2100
_SERIAL = r"^\d{5}(?:\.\d+)?$"
_SERIAL_FROM, _SERIAL_TO = 32_874, 73_051  # 1990 and 2100
_SERIAL_OF_1970 = 25_569
"""Days of a spreadsheet, which counts from the end of 1899."""
_SECOND_OF_ROUNDING, _NOISE = 0.5, 1e-3
_HALF_A_MINUTE = 30
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
_ANY = (
    r"^(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"
    r"(?:"
    r"(?P<year>\d{4})(?P<ymd>[-/.]?)(?P<month>\d{1,2})(?P=ymd)(?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})(?P<dmy>[-/.])(?P<second>\d{1,2})(?P=dmy)(?P<last>\d{4}|\d{2})"
    r"|(?P<day_n>\d{1,2})[-/ .]?(?P<name>[a-z]{3})[a-z]*[-/ .,]*(?P<year_n>\d{4}|\d{2})"
    r"|(?P<year_b>\d{4})[-/ ](?P<name_b>[a-z]{3})[a-z]*[-/ ](?P<day_b>\d{1,2})"
    r"|(?P<name_m>[a-z]{3})[a-z]*\.? +(?P<day_m>\d{1,2})(?:st|nd|rd|th)?,? +(?P<year_m>\d{4})"
    r")"
    r"(?:(?:[t ,]+|(?<=\d{8}))"
    r"(?:(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second_of>\d{2})(?:[.:,](?P<fraction>\d{1,9}))?)?"
    r"|(?P<hour_c>\d{2})(?P<minute_c>\d{2})(?P<second_c>\d{2})?)"
    r"(?: ?(?P<half>[ap])\.?m\.?)?"
    r"(?: ?(?P<zone>z|utc|gmt|ist|asia/kolkata|asia/calcutta|(?:utc|gmt)?[+-](?:\d{2}:?(?:\d{2})?|\d:\d{2}))"
    r"(?: ?[(\[][^)\]]*[)\]])?)?"
    r")?$"
)
_NAMES_OF_MONTHS = ("name", "name_m", "name_b")
_YEAR_LAST = re.compile(
    r"^((?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?[a-z]{3}[a-z]*\.? +\d{1,2}) +(\d{1,2}:\d\d(?::\d\d)?)"
    r"((?: [a-z/+:\d]+)?) (\d{4})$"
)
"""The year after the clock, as C and Java write it: Mon Jun 02 09:15:00 IST 2025."""
_OFFSET = re.compile(r"([+-])(\d(?=:)|\d\d):?(\d\d)?$")
_ZONES = {"z": 0, "utc": 0, "gmt": 0, "ist": 330, "asia/kolkata": 330, "asia/calcutta": 330}


class Texts(NamedTuple):
    """Distinct texts read: ``status`` and ``wall_clock``, which of AWARE ones is that of Asia/Kolkata; in words how
    they are written where that is not the usual way."""

    status: np.ndarray
    wall_clock: np.ndarray
    notes: tuple[str, ...] = ()


def read_texts(found: pd.Series, rows_of: np.ndarray, reading: InputSettings) -> Texts:
    """Distinct texts; ``rows_of`` is how many rows have each, so that the way of most decides for all."""
    found = _in_full(found.fillna("").str.strip(), rows_of)
    if reading.timestamp_format:
        return _by_format(found, reading.timestamp_format)
    iso = _iso(found)
    if 2 * rows_of[iso.status != UNREADABLE].sum() >= rows_of.sum():
        return iso
    epoch = _epochs(found, reading)
    if 2 * rows_of[epoch.status != UNREADABLE].sum() >= rows_of.sum():
        return epoch
    serial = _serials(found, rows_of)
    if 2 * rows_of[serial.status != UNREADABLE].sum() >= rows_of.sum():
        return serial
    return _any(found, reading.day_first)


def _in_full(found: pd.Series, rows_of: np.ndarray) -> pd.Series:
    """Epochs that were written with an exponent, all digits of them: 1.7494407e+18."""
    is_short = found.str.match(_EXPONENT).to_numpy(bool)
    if not is_short.any():
        return found
    digits = found[is_short].str.lower().str.partition("e")[0].str.replace(".", "").str.len().max()
    if digits >= _FEWEST_DIGITS_OF_EPOCHS:
        return found.mask(is_short, found[is_short].map(lambda text: f"{Decimal(text):f}"))
    if 2 * rows_of[is_short].sum() < rows_of.sum():
        return found
    raise _rounded_moments(found[is_short], f"{digits} digits", int(rows_of[is_short].sum()))


def _rounded_moments(found: pd.Series, kept: str, count: int) -> UnreadableFile:
    return UnreadableFile(
        f"found moments such as {found.iloc[0]!r}, which a spreadsheet has rounded to {kept}, expected all of them: "
        "show the column there as a date with the time, or as a number with all digits, and save the file again",
        "rounded moments",
        value=str(found.iloc[0]),
        count=count,
    )


def _iso(found: pd.Series) -> Texts:
    aware = found.str.match(_ISO_AWARE).to_numpy(bool)
    naive = found.str.match(_ISO_NAIVE).to_numpy(bool)
    date = found.str.match(_ISO_DATE).to_numpy(bool)
    local = naive | date
    moments = pd.Series(pd.NaT, index=found.index, dtype="datetime64[us]")
    moments[aware] = (
        pd.to_datetime(found[aware], format="ISO8601", utc=True, errors="coerce")
        .dt.tz_convert(INDIA)
        .dt.tz_localize(None)
        .dt.as_unit("us")
    )
    moments[local] = pd.to_datetime(found[local], format="ISO8601", errors="coerce").dt.as_unit(
        "us"
    )
    status = np.select([moments.isna(), naive, date], [UNREADABLE, NAIVE, DATE], AWARE)
    return Texts(status, moments.to_numpy("datetime64[us]"))


def _epochs(found: pd.Series, reading: InputSettings) -> Texts:
    """Numbers since 1970, in the one unit in which most lie between 1990 and 2100.

    Where the settings name a time zone, they are counted on its clock.
    """
    is_number = found.str.match(_EPOCH).to_numpy(bool)
    whole = found.where(is_number, "0").str.partition(".")[0].astype("float64").to_numpy()
    best, best_unit, best_inside = "", 1, np.zeros(len(found), bool)
    for name, unit in _EPOCH_UNITS:
        inside = is_number & (whole >= _EPOCH_FROM * unit) & (whole < _EPOCH_TO * unit)
        if inside.sum() > best_inside.sum():
            best, best_unit, best_inside = name, unit, inside
    exact = found.where(best_inside, "0").str.partition(".")[0].astype("int64").to_numpy()
    microseconds = exact * (10**6 // best_unit) if best_unit <= 10**6 else exact // 10**3
    wall = (microseconds + (0 if reading.timezone else 330 * 60 * 10**6)).view("datetime64[us]")
    status = np.where(best_inside, NAIVE if reading.timezone else AWARE, UNREADABLE)
    return Texts(status, wall, (f"epoch {best}",) if best else ())


def _serials(found: pd.Series, rows_of: np.ndarray) -> Texts:
    """Days as a spreadsheet counts them, with the time of day as a fraction, to the second."""
    is_number = found.str.match(_SERIAL).to_numpy(bool)
    days = found.where(is_number, "0").astype("float64").to_numpy()
    inside = is_number & (days >= _SERIAL_FROM) & (days < _SERIAL_TO)
    if 2 * rows_of[inside].sum() < rows_of.sum():
        inside[:] = False
    seconds = np.zeros(len(found), "int64")
    seconds[inside] = seconds_of_days(found[inside])
    seconds -= np.where(inside, _SERIAL_OF_1970 * 86_400, 0)
    has_clock = inside & (seconds % 86_400 != 0)
    status = np.select([~inside, has_clock.any() & inside], [UNREADABLE, NAIVE], DATE)
    wall = (seconds * 10**6).view("datetime64[us]")
    return Texts(status, wall, ("days as a spreadsheet counts them",) if inside.any() else ())


def seconds_of_days(written: pd.Series) -> np.ndarray:
    """Days with a time of day as a fraction, as seconds; what the digits left out of a minute is put back."""
    decimals = int(written.str.partition(".")[2].str.len().max()) if len(written) else 0
    seconds = written.astype("float64").to_numpy() * 86_400
    whole, minutes = np.rint(seconds), np.rint(seconds / 60) * 60
    left_out = 86_400 / 2 / 10**decimals + _NOISE
    is_odd = np.abs(seconds - minutes) > _SECOND_OF_ROUNDING
    if left_out >= _HALF_A_MINUTE and is_odd.any():
        raise _rounded_moments(written[is_odd], f"{decimals} decimals", int(is_odd.sum()))
    is_near = np.abs(seconds - minutes) <= left_out
    return np.where(is_near, minutes, whole).astype("int64")


def _by_format(found: pd.Series, written: str) -> Texts:
    has_zone = "%z" in written
    try:
        read = pd.to_datetime(found, format=written, errors="coerce", utc=has_zone)
    except (ValueError, TypeError) as error:
        raise UnreadableFile(
            f"found timestamp_format {written!r} ({error}), expected strptime"
        ) from error
    if has_zone:
        read = read.dt.tz_convert(INDIA).dt.tz_localize(None)
    is_day = not any(sign in written for sign in ("%H", "%I", "%T", "%X", "%c"))
    kind = AWARE if has_zone else DATE if is_day else NAIVE
    status = np.where(read.isna(), UNREADABLE, kind)
    wall = read.dt.as_unit("us").to_numpy("datetime64[us]")
    return Texts(status, wall, (f"moments as {written}",))


def _any(found: pd.Series, day_first: bool | None) -> Texts:
    parts = found.str.lower().str.replace(_YEAR_LAST, r"\1 \4 \2\3", regex=True).str.extract(_ANY)
    matched = parts[["year", "first", *_NAMES_OF_MONTHS]].notna().any(axis=1).to_numpy()

    def whole(*names: str) -> np.ndarray:
        values = parts[names[0]]
        for name in names[1:]:
            values = values.fillna(parts[name])
        return pd.to_numeric(values, errors="coerce").fillna(0).to_numpy("int64")

    first, second = whole("first"), whole("second")
    by_numbers = parts["first"].notna().to_numpy()
    if day_first is None:
        _refuse_years_first(found[by_numbers], parts[by_numbers])
    is_day_first = _order(found, first, second, by_numbers, day_first)
    month = np.where(by_numbers, second if is_day_first else first, whole("month"))
    day = np.where(
        by_numbers, first if is_day_first else second, whole("day", "day_n", "day_m", "day_b")
    )
    names = parts["name"].fillna(parts["name_m"]).fillna(parts["name_b"]).map(_MONTHS)
    month = np.where(parts[[*_NAMES_OF_MONTHS]].notna().any(axis=1), names.fillna(0), month)
    year = whole("year", "last", "year_n", "year_m", "year_b")
    year = np.where(year < 100, year + 2000, year)
    has_clock = parts[["hour", "hour_c"]].notna().any(axis=1).to_numpy()
    hour, minute, second_of = (
        whole("hour", "hour_c"),
        whole("minute", "minute_c"),
        whole("second_of", "second_c"),
    )
    half = parts["half"]
    is_half = half.notna().to_numpy()
    possible = (hour <= 23) & (minute <= 59) & (second_of <= 59)
    possible &= ~is_half | ((hour >= 1) & (hour <= 12))
    aware = parts["zone"].notna().to_numpy()
    ends_day = (hour == 24) & (minute == 0) & (second_of == 0) & ~is_half & ~aware
    possible |= ends_day
    hour, has_clock = np.where(ends_day, 0, hour), has_clock & ~ends_day
    hour = np.where(is_half, hour % 12 + np.where(half == "p", 12, 0), hour)
    fraction = pd.to_numeric("0." + parts["fraction"].fillna("0"), errors="coerce").fillna(0)
    wall, real = _wall_clock(year, month.astype("int64"), day)
    clock = ((hour * 60 + minute) * 60 + second_of) * 10**6 + (fraction * 10**6).astype("int64")
    wall = wall + clock.astype("timedelta64[us]")
    offset, known = _offsets(parts["zone"])
    wall = wall + np.where(aware, (330 - offset) * 60 * 10**6, 0).astype("timedelta64[us]")
    good = matched & real & possible & known
    status = np.select([~good, aware, has_clock], [UNREADABLE, AWARE, NAIVE], DATE)
    notes = []
    if (by_numbers & good).any():
        notes.append("day before month" if is_day_first else "month before day")
    if (is_half & good).any():
        notes.append("clock of 12 hours")
    if (ends_day & good).any():
        notes.append("24:00 is the end of its day")
    return Texts(status, np.where(good, wall, np.datetime64("NaT", "us")), tuple(notes))


def _refuse_years_first(found: pd.Series, parts: pd.DataFrame) -> None:
    """Refuse dates such as 25-06-02 whose first number is always the same while the last is not."""
    is_short = parts["last"].str.len() == 2
    if not len(found) or not is_short.all():
        return
    if (
        parts["first"].nunique() > 1
        or parts["last"].nunique() < 2
        or parts["second"].nunique() > 12
    ):
        return
    example, sign = found.iloc[0], parts["dmy"].iloc[0]
    clock = "".join(
        part
        for part, name in ((" %H", "hour"), (":%M", "minute"), (":%S", "second_of"))
        if parts[name].notna().any()
    )
    written = f"%y{sign}%m{sign}%d{clock}"
    raise UnreadableFile(
        f"found dates such as {example!r} with the same first number throughout, as of a year, expected to know which "
        f'is the year: [input] timestamp_format = "{written}" if the first is, day_first = true (or --day-first) if '
        "the last is, after day and month",
        "ambiguous dates",
        value=str(example),
        count=len(found),
        paste={"timestamp_format": written},
    )


def _order(
    found: pd.Series,
    first: np.ndarray,
    second: np.ndarray,
    by_numbers: np.ndarray,
    said: bool | None,
) -> bool:
    """Whether the day comes before the month in dates such as 02-06-2025."""
    if said is not None or not by_numbers.any():
        return bool(said)
    day_first, month_first = by_numbers & (first > 12), by_numbers & (second > 12)
    if day_first.any() != month_first.any():
        return bool(day_first.any())
    example = found[by_numbers].iloc[0]
    why = (
        f"also {found[day_first].iloc[0]!r} and {found[month_first].iloc[0]!r}"
        if day_first.any()
        else "and no day above 12 that would tell the day from the month"
    )
    raise UnreadableFile(
        f"found dates such as {example!r} {why}, expected to know which comes first: [input] day_first = true "
        "(or --day-first) if the day does, day_first = false (--month-first) if the month does",
        "ambiguous dates",
        value=str(example),
        count=int(by_numbers.sum()),
        paste={"day_first": True},
    )


def _wall_clock(
    year: np.ndarray, month: np.ndarray, day: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Midnight of each day, and whether there is such a day."""
    possible = (
        (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1) & (year < 10000)
    )
    months = np.where(possible, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(possible, day - 1, 0).astype("timedelta64[D]")
    real = possible & (days.astype("datetime64[M]") == months)
    return days.astype("datetime64[us]"), real


def _offsets(zones: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Minutes east of UTC of each zone, and whether it is one."""
    offsets = np.zeros(len(zones), "int64")
    known = np.ones(len(zones), bool)
    for zone in zones.dropna().unique():
        where = (zones == zone).to_numpy()
        if zone in _ZONES:
            offsets[where] = _ZONES[zone]
            continue
        found = _OFFSET.search(zone)
        assert found is not None, "a zone is a name of _ZONES or an offset"
        sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
        offsets[where] = (-1 if sign == "-" else 1) * (hours * 60 + minutes)
        known[where] = hours <= 14 and minutes < 60
    return offsets, known
