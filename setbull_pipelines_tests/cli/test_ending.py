"""How the process of a command ends: at once, with everything done that was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import atexit, sys, threading, time
from setbull_pipelines.cli.ending import leave

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()
kept.itself = kept
atexit.register(print, "called at the end")
{before}
leave({code})
print("left in the usual way")
"""


def ended(before: str = "", code: str = "3") -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(before=before, code=code)],
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_what_was_loaded_is_not_taken_apart_and_who_asked_to_be_called_is() -> None:
    assert ended() == (3, ["called at the end"])
    assert ended(code="None") == (0, ["called at the end"])


def test_a_thread_that_is_at_work_is_waited_for() -> None:
    work = "threading.Thread(target=lambda: (time.sleep(0.3), print('worked'))).start()"
    code, told = ended(work)
    assert code == 0
    assert told == ["left in the usual way", "worked", "called at the end", "taken apart"]


def test_a_profiler_sees_the_end() -> None:
    assert ended("sys.setprofile(lambda *_: None)")[1][0] == "left in the usual way"


def test_a_thread_of_the_background_is_not_waited_for() -> None:
    waiting = "threading.Thread(target=time.sleep, args=[60], daemon=True).start()"
    assert ended(waiting) == (3, ["called at the end"])


def test_what_was_committed_is_in_the_catalog_and_no_journal_beside_it(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from setbull_pipelines.cli.ending import leave\n"
        "from setbull_pipelines.warehouse.changes import Record\n"
        "from setbull_pipelines.warehouse.store import Warehouse\n"
        "kept = Warehouse(Path(sys.argv[1]))\n"
        "kept.commits.commit(lambda number: Record('run', []))\n"
        "assert (Path(sys.argv[1]) / 'catalog.sqlite-wal').stat().st_size\n"
        "leave(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert not list(tmp_path.glob("catalog.sqlite-*"))


def test_a_program_that_calls_a_command_goes_on_after_it() -> None:
    """A process that was forked from another would otherwise delete that one's temporary folder."""
    program = (
        "from setbull_pipelines.cli.main import main\n"
        "try: main(['settings', '--nonsense'])\n"
        "except SystemExit as ended: print('went on after', ended.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "went on after 2\n")
