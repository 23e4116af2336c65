"""A command that the system ends, or that gets no memory, ends with one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from setbull_pipelines.cli.watching import is_of_memory, sentence_about
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import SETBULL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody watches")

_PROGRAM = """
import os, signal, sys, time
from setbull_pipelines.cli.watching import Ended, in_a_child
found = in_a_child()
if isinstance(found, Ended):
    print(found.code, found.sentence)
    sys.exit(found.code)
print("child", os.getpid(), flush=True)
{work}
"""


def program(work: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(work=work)], stdout=subprocess.PIPE, text=True
    )


def ended(work: str) -> tuple[int, str]:
    """The exit code of the parent, and what it tells of the child."""
    process = program(work)
    told, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, told.splitlines()[-1]


def test_the_parent_ends_as_the_child_that_says_that_it_ends() -> None:
    assert ended("found(); sys.exit(0)") == (0, "0 None")
    assert ended("found(); sys.exit(3)") == (3, "3 None")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "was ended by SIGKILL, from somebody, or from the",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV, in a native library"),
        ("os.abort()", "was ended by SIGABRT, in a native library"),
        ("os._exit(127)", "was ended with code 127, in a library that got no memory"),
    ],
)
def test_what_ends_the_child_is_told_by_the_parent(work: str, said: str) -> None:
    code, told = ended(work)
    assert code == 70
    assert said in told
    assert "the same command goes on where it stopped" in told


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_parent_ends_the_child_once(sign: signal.Signals) -> None:
    count = (
        "seen = []\n"
        "for each in (signal.SIGINT, signal.SIGTERM): signal.signal(each, lambda n, _: seen.append(n))\n"
        "print('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "found(); sys.exit(len(seen))"
    )
    process = program(count)
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        pass
    process.send_signal(sign)
    assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_right_after_the_fork_reaches_the_child(sign: signal.Signals) -> None:
    early = (
        "import os, signal\n"
        "os.register_at_fork("
        f"after_in_parent=lambda: os.kill(os.getpid(), {int(sign)}))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", early + _PROGRAM.format(work="time.sleep(60)")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told, _ = process.communicate(timeout=PATIENCE)
    # The child may have been about to print.
    assert told.endswith(f"{128 + sign} None\n")
    assert process.returncode == 128 + sign


def test_a_killed_parent_leaves_no_child() -> None:
    process = program("time.sleep(60)")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.kill()
    process.wait()
    deadline = time.monotonic() + PATIENCE
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(child)


@pytest.mark.parametrize("mebibytes", [100, 300])
def test_a_run_without_memory_is_one_sentence(mebibytes: int, data_directory: Path) -> None:
    most = mebibytes * 2**20
    done = subprocess.run(
        [*SETBULL, "run"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 70
    assert len(told) == 1
    assert f"ulimit -v allows {mebibytes} MiB" in told[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (data_directory / "warehouse").exists()


def test_limits_and_what_was_used_are_in_the_sentence() -> None:
    told = sentence_about(12, -signal.SIGKILL, 4096.4, ["the container may use 4,096 MiB"])
    assert told.startswith("process 12, which did the work, was ended by SIGKILL")
    assert "it held 4,096 MiB at most; the container may use 4,096 MiB. What was" in told


def test_what_the_libraries_say_without_memory_is_known() -> None:
    import numpy as np
    import pyarrow

    for take in (lambda: np.empty(2**50), lambda: pyarrow.allocate_buffer(2**60)):
        with pytest.raises(MemoryError) as error:
            take()
        assert is_of_memory(f"{type(error.value).__name__}: {error.value}")
    assert not is_of_memory("ValueError: a frame has no column 'close'")
    assert is_of_memory(os.strerror(errno.ENOMEM))
