"""Files that memory does not allow to read: refused in one sentence, nothing of it remembered, others read."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import NoInput, room_for_files, take_in
from setbull_pipelines.sources.intake import Intake, NoCandles
from setbull_pipelines.sources.room_for_files import NoRoom, available, require_room
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.reading_files import HEADER, candles, session, table

MIB = 2**20


def take(inbox: Path) -> Intake:
    return take_in(inbox, inbox.parent / "landing", SampleSettings(), LATER)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 KiB are free, and no file is too small to ask."""
    monkeypatch.setattr(room_for_files, "_SMALL", 0)
    monkeypatch.setattr(room_for_files, "available", lambda: 20 * 1024)


SMALL = table(*session(minutes=20, symbol="SMALL"))
LARGE = table(*session(symbol="LARGE"))


def test_a_file_without_room_is_refused_and_the_others_are_read(inbox: Path, little: None) -> None:
    (inbox / "large.csv").write_text(LARGE)
    (inbox / "small.csv").write_text(SMALL)
    taken = take(inbox)
    files = taken.files.set_index("source")
    assert files["kind"].to_dict() == {"large.csv": "rejected", "small.csv": "minutes"}
    assert taken.coverage["instrument_key"].tolist() == ["NSE_EQ|SMALL"]
    assert re.match(
        r"large.csv: found 0 MiB, which take 0 MiB of memory to read, expected at most the 0 MiB that are free; split",
        files.loc["large.csv", "reason"],
    )


def test_with_room_it_is_read_the_next_time(
    inbox: Path, little: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "large.csv").write_text(LARGE)
    with pytest.raises(NoCandles, match=r"large\.csv: found 0 MiB") as nothing:
        take(inbox)
    assert nothing.value.intake.files["kind"].tolist() == ["rejected"]
    monkeypatch.setattr(room_for_files, "available", lambda: MIB)
    assert take(inbox).landed_rows() == {take(inbox).first_day: 375}


def test_the_earlier_content_of_a_file_that_grew_too_large_counts(
    inbox: Path, little: None, caplog: pytest.LogCaptureFixture
) -> None:
    (inbox / "a.csv").write_text(SMALL)
    before = take(inbox)
    (inbox / "a.csv").write_text(LARGE)
    with caplog.at_level(logging.WARNING):
        after = take(inbox)
    assert after.identity == before.identity
    assert "a.csv: found 0 MiB" in caplog.text
    assert "its earlier content counts" in caplog.text


@pytest.mark.parametrize(
    ("name", "size", "fewest"),
    [("large.csv", "3K", 15), ("large.csv", "9K", 5), ("large prices.csv", "29K", 2)],
)
def test_the_command_of_the_sentence_makes_parts_that_say_the_same(
    inbox: Path, little: None, monkeypatch: pytest.MonkeyPatch, name: str, size: str, fewest: int
) -> None:
    rows = [row for day in ("02", "03", "04") for row in session(f"2025-06-{day}", symbol="LARGE")]
    bad = ["LARGE,2025-06-05T09:15:00+05:30,-1,1,1,1,5", "LARGE,2025-06-05T09:15:00+05:30,1,1"]
    (inbox / name).write_text(table(*rows, *bad))
    with pytest.raises(NoInput) as refusal:
        take(inbox)
    (command,) = re.findall(r"in its folder\): (.+) and read the folder", str(refusal.value))
    command = command.replace(
        "split -C 1M", f"split -C {size}"
    )  # a mebibyte is the least that is advised
    subprocess.run(["bash", "-c", command], cwd=inbox, check=True)
    parts = inbox / f"{name.removesuffix('.csv')}-parts"
    assert len(list(parts.iterdir())) >= fewest
    monkeypatch.setattr(room_for_files, "available", lambda: MIB)
    whole, split = take(inbox / name), take(parts)
    days = whole.days("minutes")
    assert split.days("minutes") == days
    for day in days:
        both = [taken.load_day(day) for taken in (whole, split)]
        counted, again = (found.accounting.drop(columns="kind") for found in both)
        assert counted.equals(again)
        bars, bars_again = (found.candles_1min.drop(columns="source") for found in both)
        assert len(bars) in (375, 0)
        assert bars.equals(bars_again)
    assert len(whole.unassigned) == len(split.unassigned) == 1


@pytest.mark.parametrize(
    ("kind", "times"), [(".csv", 3), (".json", 12), (room_for_files.VALUES, 5), (".csv.gz", 1)]
)
def test_what_reading_takes_depends_on_the_kind(
    monkeypatch: pytest.MonkeyPatch, kind: str, times: int
) -> None:
    monkeypatch.setattr(room_for_files, "available", lambda: 300 * times * MIB)
    require_room(300 * MIB, kind)
    with pytest.raises(NoRoom, match=rf"found 301 MiB, which take {301 * times:,} MiB"):
        require_room(301 * MIB, kind)
    require_room(301 * MIB, kind, held=301 * MIB)


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    without = available(tmp_path)
    assert without > 64 * MIB
    (tmp_path / "memory.max").write_text(f"{96 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{80 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {10 * MIB}\nactive_file 7\n")
    assert available(tmp_path) == 26 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    assert available(tmp_path) > 64 * MIB


def test_a_process_with_a_limit_says_so_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    rows = "\n".join(session(symbol="LARGE")) + "\n"
    path.write_text(f"{HEADER}\n" + rows * (70 * MIB // len(rows)))
    code = (
        "import resource, sys, psutil, setbull_pipelines.cli.check\n"
        "from setbull_pipelines.cli.main import main\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20, resource.RLIM_INFINITY))\n"
        f"main(['check', {str(path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "large.csv: refused (too large)" in done.stdout
    assert re.search(r"found \d+ MiB, which take \d+ MiB of memory to read", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


def test_small_files_are_read_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_for_files, "available", lambda: 0)
    assert len(candles(LARGE).accepted) == 375
