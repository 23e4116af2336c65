"""A parent that watches the process of a command, and tells in one sentence when the system ended it.

Belongs here: the two processes, and the sentence. Does not belong here: errors that a command can catch
(``ending.py``, ``last_resort.py``).

When memory runs out, the system kills a process, or a native library that got none reads what is not there: nothing
that the process itself could tell. On Linux alone, where a child can be made to end with its parent.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from setbull_pipelines.errors import PROGRAM_FAULT

_TOLD = {
    signal.SIGKILL,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGILL,
    signal.SIGFPE,
}
_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_OUT_OF_MEMORY = (
    *("MemoryError", "OutOfMemoryException", "malloc of size", "std::bad_alloc"),
    *("can't start new thread", "Cannot allocate memory", "failed to map segment"),
)
"""What Python, Arrow, DuckDB, C++ and the system say; a library cannot be loaded, nor a thread started, without it."""
_DIES_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of ``prctl``."""
_KIB, _MIB = 2**10, 2**20
_NO_LIMIT = 2**60
_LIMIT_OF = {
    "": ("/sys/fs/cgroup", "memory.max"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
}


@dataclass(frozen=True)
class Ended:
    """How the child of this process has ended: with an exit code, and what is to be told where it told nothing."""

    code: int
    sentence: str | None


def in_a_child() -> Ended | Callable[[], None]:
    """Go on in a child, whose end the parent waits for.

    In the parent how the child has ended; in the child what it must call before it ends by itself, or the parent tells
    that something has ended it.
    """
    parent = os.getpid()
    reading, writing = os.pipe()
    # Until the parent hands signals on: one that came before would end it, and the child with it, without a word.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDED_ON)
    child = os.fork()
    if child:
        os.close(writing)
        return _end_of(child, reading, before)
    os.close(reading)
    # A group of its own: what a terminal, or who kills a group, says comes once, from the parent.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def ends() -> None:
        os.write(writing, b"ends")

    return ends


def _end_of(child: int, reading: int, unblocked: set[signal.Signals]) -> Ended:
    def hand_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    def stop_both(number: int, _: FrameType | None) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)

    for each in _HANDED_ON:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as below nohup
            signal.signal(each, hand_on)
    signal.signal(signal.SIGTSTP, stop_both)
    signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.set_blocking(
        reading, False
    )  # a process that the child has left behind may hold the other end
    with suppress(BlockingIOError):
        if os.read(reading, 1):
            return Ended(code, None)
    if -code in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        return Ended(128 - code, None)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KIB / _MIB
    return Ended(PROGRAM_FAULT, sentence_about(child, code, used, memory_limits()))


def sentence_about(process: int, code: int, used: float, limits: list[str]) -> str:
    """What ended a process that could not tell it, and what to do; ``used`` is the most mebibytes that it held."""
    if code >= 0:
        how = f"with code {code}, in a library that got no memory or met another fault that it cannot tell"
    elif -code == signal.SIGKILL:
        how = "by SIGKILL, from somebody, or from the system because memory ran out"
    else:
        how = f"by {signal.Signals(-code).name}, in a native library, as happens where it gets no memory"
    known = f"; {' and '.join(limits)}" if limits else ""
    return (
        f"process {process}, which did the work, was ended {how}; it held {used:,.0f} MiB at most{known}. What was "
        "published is whole, and the same command goes on where it stopped; a smaller "
        "processing.memory_allowance_mib makes it work in smaller parts"
    )


def is_of_memory(told: str) -> bool:
    """Whether an error, as its class and its words, says that there was no memory left."""
    return any(words in told for words in _OUT_OF_MEMORY)


def about_memory() -> str:
    """What to do where memory ran out, after a sentence about it."""
    known = f" ({' and '.join(memory_limits())})" if memory_limits() else ""
    return (
        f"; memory ran out{known}: with more of it the same command goes on where it stopped; a smaller "
        "processing.memory_allowance_mib makes it work in smaller parts"
    )


def memory_limits() -> list[str]:
    """What this process may use at most, in words, where there is a limit."""
    told = []
    for number, name in ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d")):
        most = resource.getrlimit(number)[0]
        if 0 <= most < _NO_LIMIT:
            told.append(f"{name} allows {most / _MIB:,.0f} MiB")
    if (of_group := _cgroup_limit()) is not None:
        told.append(f"the container may use {of_group / _MIB:,.0f} MiB")
    return told


def _cgroup_limit() -> int | None:
    """What the control group of this process may use, of both versions of such groups; None without a limit."""
    limits: list[int] = []
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for _, controllers, place in (line.split(":", 2) for line in groups):
        if controllers in _LIMIT_OF:
            folder, name = _LIMIT_OF[controllers]
            for part in (place.lstrip("/"), ""):
                limits += _numbers_in(Path(folder, part, name))
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def _numbers_in(path: Path) -> list[int]:
    """The number that a file holds; none where it says "max" or is not there."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []
