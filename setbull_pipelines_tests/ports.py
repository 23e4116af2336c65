"""Ports of loopback for servers that tests start, and for those that must not be there.

Belongs here: choosing one. Does not belong here: servers.

The kernel hands out ports from 32768 on: one of those that was free a moment ago can be another test's when it is
used. These lie below, and every process of the tests has a stretch of its own.
"""

from __future__ import annotations

import os
import random
import socket

_FIRST, _PORTS_EACH, _STRETCHES = 20_000, 2_000, 6
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, and that was not given before."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % _STRETCHES * _PORTS_EACH
    # Not the one that pytest's seeds or Hypothesis repeat: two sessions on a machine would want the same ports.
    stretch = random.SystemRandom().sample(range(first, first + _PORTS_EACH), _PORTS_EACH)
    for port in stretch:
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"no port is free from {first} to {first + _PORTS_EACH - 1}")
