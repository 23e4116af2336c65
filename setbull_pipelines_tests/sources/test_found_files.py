"""Which files of a folder are seen, whatever they are called: none goes without a word."""

import os
import zipfile
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.arrivals import name_of_input
from setbull_pipelines.sources.found_files import NoInput, find_files, source_name, unread_files
from setbull_pipelines.sources.intake import NoCandles, take_in
from setbull_pipelines.sources.looking import looks
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.reading_files import session, table

IN_VAIN = Path("/proc/self/mem")
"""A file that anybody may open, and whose first byte nobody can read."""
GOOD = table(*session(minutes=3))
NOT_UTF8 = os.fsdecode(b"caf\xe9.csv")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_a_name_that_is_not_utf8_stops_nothing(inbox: Path) -> None:
    (inbox / NOT_UTF8).write_text(GOOD)
    (inbox / "two\nlines.csv").write_text(GOOD.replace("ALPHA", "BETA"))
    taken = take_in(inbox, inbox.parent / "landing", SampleSettings(), LATER)
    assert set(taken.files["source"]) == {"caf\\xe9.csv", "two\nlines.csv"}
    assert sum(taken.landed_rows().values()) == 6
    assert source_name(inbox / NOT_UTF8, inbox / NOT_UTF8) == "caf\\xe9.csv"
    assert name_of_input(inbox / NOT_UTF8) != name_of_input(inbox)


def test_links_that_are_not_followed_are_told(inbox: Path) -> None:
    elsewhere = inbox.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "good.csv").write_text(GOOD)
    (inbox / "file.csv").symlink_to(elsewhere / "good.csv")
    (inbox / "folder").symlink_to(elsewhere)
    (inbox / "gone.csv").symlink_to(elsewhere / "gone.csv")
    assert [path.name for path in find_files(inbox)] == ["file.csv"]
    told = unread_files(inbox)
    assert "a link to a folder" in told["folder"]
    assert "leads nowhere" in told["gone.csv"]


def test_hidden_files_and_folders_are_nobody_s_input(inbox: Path) -> None:
    (inbox / ".cache").mkdir()
    (inbox / ".cache" / "a.csv").write_text(GOOD)
    (inbox / ".b.csv").write_text(GOOD)
    (inbox / "good.csv").write_text(GOOD)
    assert [path.name for path in find_files(inbox)] == ["good.csv"]
    assert unread_files(inbox) == {}


def test_a_folder_that_cannot_be_looked_into_is_an_error(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "closed").mkdir()
    (inbox / "good.csv").write_text(GOOD)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    with pytest.raises(NoInput, match=r"closed: cannot be read \(Permission denied\)"):
        find_files(inbox)


def test_a_file_that_cannot_be_read_is_told_and_stops_no_other(inbox: Path) -> None:
    (inbox / "bad.csv").symlink_to(IN_VAIN)
    (inbox / "bad.zip").symlink_to(IN_VAIN)
    (inbox / "good.csv").write_text(GOOD)
    taken = take_in(inbox, inbox.parent / "landing", SampleSettings(), LATER)
    assert sum(taken.landed_rows().values()) == 3
    refused = [look for look in looks(taken) if look.is_refused]
    assert [look.file for look in refused] == ["bad.csv", "bad.zip"]
    assert [look.refusals[0].rule for look in refused] == ["unreadable file"] * 2
    reason = "bad.csv: cannot be read (Input/output error), expected a readable file."
    assert refused[0].refusals[0].reason == reason
    with pytest.raises(NoCandles, match=r"bad\.csv: cannot be read \(Input/output error\)"):
        take_in(inbox / "bad.csv", inbox.parent / "landing", SampleSettings(), LATER)


@pytest.mark.parametrize("name", ["a.csv", "a.zip"])
def test_what_was_read_of_a_file_counts_while_it_cannot_be_read(
    inbox: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    other = GOOD.replace("ALPHA", "BETA")
    path = inbox / name
    if name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("one.csv", GOOD)
            archive.writestr("two.csv", other)
    else:
        path.write_text(GOOD + other.partition("\n")[2])
    before = take_in(inbox, inbox.parent / "landing", SampleSettings(), LATER)
    path.unlink()
    path.symlink_to(IN_VAIN)
    after = take_in(inbox, inbox.parent / "landing", SampleSettings(), LATER)
    assert sum(after.landed_rows().values()) == 6
    assert after.identity == before.identity
    assert f"{name}: cannot be read (Input/output error)" in caplog.text
