"""When a file counts as unchanged, and that forgetting costs only reading again."""

import os
import time
from pathlib import Path

import pytest

from setbull_pipelines.sources.known_contents import KnownContents


class Reader:
    """Reads files and counts how often."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> str:
        self.read.append(path.name)
        return path.read_text()


@pytest.fixture
def moments(monkeypatch):
    """The clock, which is an hour further than the files: they have settled."""
    settled = time.time_ns() + 3_600 * 10**9
    monkeypatch.setattr("setbull_pipelines.sources.known_contents.time.time_ns", lambda: settled)


def look(folder: Path, *names: str) -> tuple[list[str], list[str]]:
    """The hashes of some files, and which of them were read for it."""
    reader, known = Reader(), KnownContents(folder / "known.json")
    hashes = [known.hash_of(folder / name, reader) for name in names]
    known.remember()
    return hashes, reader.read


def test_an_unchanged_file_is_read_once(tmp_path, moments):
    (tmp_path / "a.csv").write_text("one")
    assert look(tmp_path, "a.csv") == (["one"], ["a.csv"])
    assert look(tmp_path, "a.csv") == (["one"], [])


def test_a_file_that_changed_is_read_again_even_with_equal_size_and_an_old_time_of_writing(
    tmp_path, moments
):
    file = tmp_path / "a.csv"
    file.write_text("one")
    before = file.stat()
    look(tmp_path, "a.csv")
    time.sleep(0.02)
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert look(tmp_path, "a.csv") == (["two"], ["a.csv"])


def test_another_file_that_took_its_place_is_read(tmp_path, moments):
    (tmp_path / "a.csv").write_text("one")
    look(tmp_path, "a.csv")
    (tmp_path / "b.csv").write_text("two")
    os.replace(tmp_path / "b.csv", tmp_path / "a.csv")
    assert look(tmp_path, "a.csv") == (["two"], ["a.csv"])


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path):
    (tmp_path / "a.csv").write_text("one")
    assert look(tmp_path, "a.csv") == (["one"], ["a.csv"])
    assert look(tmp_path, "a.csv") == (["one"], ["a.csv"])


@pytest.mark.parametrize("content", ["", "[1]", '{"FILE": 1}', '{"FILE": []}', "\x00"])
def test_a_damaged_memory_costs_only_reading_again(tmp_path, moments, content):
    (tmp_path / "a.csv").write_text("one")
    (tmp_path / "known.json").write_text(content.replace("FILE", str(tmp_path / "a.csv")))
    assert look(tmp_path, "a.csv") == (["one"], ["a.csv"])
    assert look(tmp_path, "a.csv") == (["one"], [])


def test_files_that_are_gone_are_forgotten(tmp_path, moments):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    look(tmp_path, "a.csv", "b.csv")
    look(tmp_path, "a.csv")
    assert look(tmp_path, "a.csv", "b.csv")[1] == ["b.csv"]
