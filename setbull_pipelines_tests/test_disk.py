"""What a killed writer leaves is told from what is being written, by any process, and goes at the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from setbull_pipelines import disk

WRITER = """
import sys, time
from pathlib import Path
from setbull_pipelines import disk
make = disk.temporary_folder if sys.argv[1] == "folder" else disk.temporary_file
with make(Path(sys.argv[2])) as path:
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_being_written_stays_and_what_a_killed_writer_left_goes(
    tmp_path: Path, kind: str
) -> None:
    command = [sys.executable, "-c", WRITER, kind, str(tmp_path / "table")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        path = Path(writer.stdout.readline().strip())
        assert path.name.startswith(disk.TEMPORARY_PREFIX)
        assert disk.sweep(tmp_path) == []
        assert path.exists()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert disk.sweep(tmp_path) == [path]
    assert not path.exists()


def test_other_files_are_not_swept(tmp_path: Path) -> None:
    kept = tmp_path / "candles.parquet"
    kept.write_bytes(b"candles")
    (tmp_path / ".writing").mkdir()
    assert disk.sweep(tmp_path, (".writing-", ".landing-")) == []
    assert kept.exists()


def test_a_link_is_swept_once_it_cannot_be_in_the_middle_of_a_step(tmp_path: Path) -> None:
    link = tmp_path / f"{disk.TEMPORARY_PREFIX}1-catalog"
    link.symlink_to("nowhere")
    assert disk.sweep(tmp_path) == []
    os.utime(link, (0, 0), follow_symlinks=False)
    assert disk.sweep(tmp_path) == [link]


def test_a_failed_writing_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table"
    disk.replace_durably(target, b"old")
    with pytest.raises(TypeError):
        disk.replace_durably(target, "text")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


HOLDER = """
import os, time
from pathlib import Path
from setbull_pipelines import disk
with disk.writer_lock(Path(os.environ["HELD"])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_who_waits_for_long_is_told_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "PATIENCE", 0.2)
    script = tmp_path / "setbull"
    script.write_text(HOLDER, encoding="utf-8")
    command = [sys.executable, str(script), "import-old", "--source", "mysql://u:hunter2@host"]
    held = {"HELD": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | held
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        threading.Timer(1.5, holder.kill).start()
        with disk.writer_lock(tmp_path):
            pass  # the lock went with its holder
    (told,) = caplog.messages
    assert told.startswith(f"waiting for {tmp_path}, which is held by process {holder.pid} (")
    # An address of a database can hold a password.
    assert "setbull import-old, since 2" in told
    assert "hunter2" not in told


def test_who_need_not_wait_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "PATIENCE", 0.0)
    for _ in range(3):
        with disk.writer_lock(tmp_path):
            pass
    assert caplog.messages == []
