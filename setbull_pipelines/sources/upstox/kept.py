"""Answers as they were received, on disk, with what is known about each.

Belongs here: the folder of answers, its atomic writing, which sessions it holds. Does not belong here: making
candle files of them (``candle_files.py``), deciding what to ask for (``planning.py``).

``<interval>/<instrument key, quoted>/`` holds one file per answer, named by its range and content, and
``manifest.json``, the list of them with its hash. An answer counts once it is in the manifest: a process that dies
before leaves at most a file that nobody reads.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from setbull_pipelines import disk
from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.sources import checked_json
from setbull_pipelines.sources.upstox.calls import INTERVALS, Call, Interval

_MANIFEST = "manifest.json"
_DAYS = ("first", "last", "final_until")


class DamagedAnswer(ValueError):
    """A kept answer is not what was received; it was removed, and the next fetch asks again."""


@dataclass(frozen=True)
class KeptAnswer:
    """What is known about one answer.

    It was asked for sessions from ``first`` to ``last`` and is final for those up to ``final_until``; None: for
    none of them. ``running``: from the broker's answers about today. ``content_hash`` is of the body.
    """

    instrument_key: str
    interval: Interval
    first: date
    last: date
    running: bool
    final_until: date | None
    received_at: datetime
    candles: int
    content_hash: str

    @property
    def file_name(self) -> str:
        """Range and content, so that two answers to the same call do not meet."""
        kind = "running" if self.running else "history"
        return f"{self.first}_{self.last}_{kind}_{self.content_hash}.json.gz"


class KeptAnswers:
    """The folder of answers; one thread at a time per instrument and interval."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, interval: Interval, instrument_key: str) -> list[KeptAnswer]:
        """The answers whose file is there, in the order in which they were received."""
        folder = self._folder(interval, instrument_key)
        try:
            text = (folder / _MANIFEST).read_text(encoding="utf-8")
            entries = checked_json.entries_from_text(text)
            answers = [_answer(entry) for entry in entries]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # What a damaged list does not tell is asked for again.
            return []
        return [answer for answer in answers if (folder / answer.file_name).exists()]

    def instruments(self, interval: Interval) -> list[str]:
        """Keys of the instruments with answers, sorted."""
        folder = self._root / interval
        if not folder.is_dir():
            return []
        return sorted(unquote(path.name) for path in folder.iterdir() if path.is_dir())

    def keep(
        self, call: Call, body: bytes, candles: int, received_at: datetime, final_until: date | None
    ) -> KeptAnswer:
        """Store a body and then count it; of the answers about a running day only the last is kept."""
        answer = KeptAnswer(
            call.instrument_key,
            call.interval,
            call.first,
            call.last,
            call.running,
            final_until,
            received_at,
            candles,
            hashlib.blake2b(body, digest_size=16).hexdigest(),
        )
        folder = self._folder(call.interval, call.instrument_key)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / answer.file_name, gzip.compress(body, mtime=0))
        before = self.of(call.interval, call.instrument_key)
        stays = [
            other
            for other in before
            if not (call.running and other.running and other.first == call.first)
            and other.file_name != answer.file_name
        ]
        self._replace(folder, [*stays, answer])
        return answer

    def body(self, answer: KeptAnswer) -> bytes:
        """The body as received; :class:`DamagedAnswer` when its bytes have changed."""
        path = self._folder(answer.interval, answer.instrument_key) / answer.file_name
        try:
            body = gzip.decompress(path.read_bytes())
            damage = (
                None
                if hashlib.blake2b(body, digest_size=16).hexdigest() == answer.content_hash
                else "other content"
            )
        except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            damage = str(error)
        if damage:
            path.unlink(missing_ok=True)
            raise DamagedAnswer(
                f"{path}: found {damage}, expected the answer as it was received; removed, so that the next "
                "fetch asks again"
            )
        return body

    def received_since(self, moment: datetime) -> list[datetime]:
        """When answers arrived after ``moment``."""
        return [
            answer.received_at
            for interval in INTERVALS
            for key in self.instruments(interval)
            for answer in self.of(interval, key)
            if answer.received_at > moment
        ]

    def remove_older_than(self, day: date) -> int:
        """Remove the answers whose last session lies before ``day``; returns how many."""
        removed = 0
        of_intervals = [
            (interval, manifest)
            for interval in INTERVALS
            for manifest in sorted(self._root.glob(f"{interval}/*/{_MANIFEST}"))
        ]
        for interval, manifest in of_intervals:
            folder = manifest.parent
            before = self.of(interval, unquote(folder.name))
            after = [answer for answer in before if answer.last >= day]
            if after != before:
                removed += len(before) - len(after)
                self._replace(folder, after)
        return removed

    def _replace(self, folder: Path, answers: Iterable[KeptAnswer]) -> None:
        """Make these the answers of the folder; files that are none of them go after they no longer count."""
        answers = list(answers)
        text = checked_json.to_text([_entry(answer) for answer in answers])
        _write(folder / _MANIFEST, text.encode())
        wanted = {_MANIFEST, *(answer.file_name for answer in answers)}
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()

    def _folder(self, interval: Interval, instrument_key: str) -> Path:
        return self._root / interval / quote(instrument_key, safe="")


def final_sessions(
    answers: Iterable[KeptAnswer], calendar: TradingCalendar
) -> dict[date, KeptAnswer]:
    """Which answer holds each session in its final form: the last one received."""
    holder: dict[date, KeptAnswer] = {}
    for answer in answers:
        if answer.final_until is not None:
            days = calendar.trading_days(answer.first, answer.final_until)
            holder.update(dict.fromkeys(days, answer))
    return holder


def _entry(answer: KeptAnswer) -> dict[str, object]:
    entry = asdict(answer)
    entry |= {
        name: value.isoformat() for name, value in entry.items() if hasattr(value, "isoformat")
    }
    return entry


def _answer(entry: dict) -> KeptAnswer:
    days = {name: date.fromisoformat(entry[name]) if entry[name] else None for name in _DAYS}
    moment = datetime.fromisoformat(entry["received_at"])
    return KeptAnswer(**(entry | days | {"received_at": moment}))


def _write(path: Path, data: bytes) -> None:
    """All of the old or all of the new, also after a power cut."""
    disk.replace_durably(path, data)
    disk.sync(path.parent)
