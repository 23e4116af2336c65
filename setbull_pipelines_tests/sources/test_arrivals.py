"""The journal of arrivals: what counts at which moment, and what concurrent and repeated looks leave of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from setbull_pipelines.sources.arrivals import Content, DamagedJournal, Journal, counting

NINE, TEN, ELEVEN, NOON = (datetime(2025, 6, 2, hour, tzinfo=UTC) for hour in (9, 10, 11, 12))
ONE, OTHER = Content("aa", "aa-landing"), Content("bb", "bb-landing")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, tmp_path / "inbox")


def hashes(journal: Journal, as_of: datetime | None = None) -> dict[str, list[str]]:
    counted = counting(journal.arrivals(), as_of)
    return {name: [a.content.content_hash for a in of_file] for name, of_file in counted.items()}


def test_a_file_keeps_its_contents_until_it_is_gone(journal: Journal) -> None:
    journal.note({"a": ONE}, NINE)
    journal.note({"a": OTHER}, TEN)
    journal.note({"a": ONE, "b": ONE}, ELEVEN)
    journal.note({"b": ONE}, NOON)
    assert hashes(journal) == {"b": ["aa"]}
    assert hashes(journal, ELEVEN) == {"a": ["aa", "bb", "aa"], "b": ["aa"]}
    assert hashes(journal, TEN) == {"a": ["aa", "bb"]}
    assert hashes(journal, NINE) == {"a": ["aa"]}
    assert hashes(journal, datetime(2025, 6, 1, tzinfo=UTC)) == {}


def test_a_file_that_comes_back_is_new(journal: Journal) -> None:
    journal.note({"a": ONE}, NINE)
    journal.note({}, TEN)
    journal.note({"a": OTHER}, ELEVEN)
    assert hashes(journal) == {"a": ["bb"]}


def test_the_first_look_decides_when_a_content_arrived(journal: Journal) -> None:
    journal.note({"a": ONE}, NINE)
    journal.note({"a": Content("aa", "read by other rules")}, TEN)
    (arrival,) = journal.arrivals()
    assert (arrival.moment, arrival.content) == (NINE, ONE)


def test_a_clock_that_was_set_back_changes_no_order(journal: Journal) -> None:
    journal.note({"a": ONE}, TEN)
    journal.note({"a": OTHER}, NINE)
    ten, shortly_after = (arrival.moment for arrival in journal.arrivals())
    assert ten == TEN < shortly_after < ELEVEN
    assert hashes(journal) == {"a": ["aa", "bb"]}


def test_two_inputs_have_two_journals(tmp_path: Path) -> None:
    Journal(tmp_path, tmp_path / "inbox").note({"a": ONE}, NINE)
    assert Journal(tmp_path, tmp_path / "other").arrivals() == []


def test_looks_at_the_same_time_note_every_file_once(journal: Journal) -> None:
    found = {f"{number}.csv": ONE for number in range(20)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: journal.note(found, NINE), range(8)))
    assert sorted(arrival.source for arrival in journal.arrivals()) == sorted(found)


def test_a_damaged_journal_says_so_and_stays(journal: Journal, tmp_path: Path) -> None:
    journal.note({"a": ONE}, NINE)
    (path,) = tmp_path.glob("arrivals-*.json")
    path.write_text("[{")
    with pytest.raises(DamagedJournal, match="restore it, or delete it"):
        journal.note({"a": OTHER}, TEN)
    assert path.read_text() == "[{"
