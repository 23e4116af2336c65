"""A clock that is set while programs ask it: a few lines of C in every program that is started with them.

Belongs here: building them, setting the clock, and the age of files when it is set. Does not belong here: what programs
do with the time. libfaketime would do the same where it is installed, but cannot set the clock of a program at work
without making the files that it wrote before look as if they had just been written.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static int64_t seconds(void) {
    static volatile int64_t *shift;
    if (!shift) {
        int file = open(getenv("CLOCK_FILE"), O_RDONLY | O_CLOEXEC);
        void *found = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (found == MAP_FAILED) abort();
        shift = found;
    }
    return *shift;
}
int clock_gettime(clockid_t id, struct timespec *moment) {
    int failed = syscall(SYS_clock_gettime, id, moment);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) moment->tv_sec += seconds();
    return failed;
}
int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    moment->tv_sec = found.tv_sec;
    moment->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *moment) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (moment) *moment = found.tv_sec;
    return found.tv_sec;
}
static int written(int failed, struct stat64 *found) {
    if (!failed) {
        found->st_mtim.tv_sec += seconds();
        found->st_ctim.tv_sec += seconds();
        found->st_atim.tv_sec += seconds();
    }
    return failed;
}
int fstatat64(int folder, const char *path, struct stat64 *found, int how) {
    return written(syscall(SYS_newfstatat, folder, path, found, how), found);
}
int stat64(const char *path, struct stat64 *found) { return fstatat64(AT_FDCWD, path, found, 0); }
int lstat64(const char *path, struct stat64 *found) {
    return fstatat64(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}
int fstat64(int file, struct stat64 *found) { return written(syscall(SYS_fstat, file, found), found); }
"""


class NoClock(Exception):
    """This machine cannot have such a clock; the message says why."""


class Clock:
    """A clock for programs that are started with :attr:`variables`; it goes as fast as the real one."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            raise NoClock("a clock that jumps needs a C compiler and Linux")
        folder.mkdir(parents=True, exist_ok=True)
        source, self._built, self._file = (
            folder / name for name in ("clock.c", "clock.so", "shift")
        )
        source.write_text(_SOURCE, encoding="utf-8")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self._built, source], check=True)
        self._shift = 0
        self._file.write_bytes(struct.pack("=q", 0))

    @property
    def variables(self) -> Mapping[str, str]:
        """What the environment of a program must hold."""
        return {"LD_PRELOAD": str(self._built), "CLOCK_FILE": str(self._file)}

    def now(self) -> float:
        """Seconds since 1970, as such a program sees them."""
        return time.time() + self._shift

    def set_apart(self, seconds: int) -> None:
        """Let the clock be so far from the real one."""
        self._shift = seconds
        with open(self._file, "r+b") as file:  # in place: programs at work look into it
            file.write(struct.pack("=q", seconds))

    def jump(self, moment: datetime, folders: tuple[Path, ...] = ()) -> None:
        """Set the clock to ``moment``; files below ``folders`` keep the moments at which they were written."""
        ahead = round(moment.timestamp() - self.now())
        for folder in folders:
            _age(folder, ahead)
        self.set_apart(self._shift + ahead)


def _age(folder: Path, seconds: int) -> None:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            with suppress(FileNotFoundError):
                status = os.lstat(path)
                moments = (
                    status.st_atime_ns - seconds * 10**9,
                    status.st_mtime_ns - seconds * 10**9,
                )
                os.utime(path, ns=moments, follow_symlinks=False)
