"""``python -m benchmarks.reliability kills|servers|resources|readers|growth|soak``: break it, tell what survived.

Belongs here: the options. Does not belong here: the harnesses.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.reliability import growth, kills, readers, resources, servers, soak, works
from benchmarks.reliability.tiny import import_program


def main() -> None:
    """Parse the options, break, and end with 1 where anything did not survive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--seed", type=int, default=1)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("kills", help=kills.__doc__.splitlines()[0])
    part.add_argument("--trials", type=int, default=300)
    part.add_argument("--only", nargs="+", choices=works.WORKS, default=list(works.WORKS))
    part = parts.add_parser("servers", help=servers.__doc__.splitlines()[0])
    part.add_argument("--kills", type=int, default=30)
    part = parts.add_parser("resources", help=resources.__doc__.splitlines()[0])
    part.add_argument("--disks", type=int, default=10, help="how often the disk is full")
    part.add_argument("--only", nargs="+", choices=resources.CASES, default=list(resources.CASES))
    part = parts.add_parser("readers", help=readers.__doc__.splitlines()[0])
    part.add_argument("--reads", type=int, default=10_000)
    part = parts.add_parser("growth", help=growth.__doc__.splitlines()[0])
    part.add_argument("--runs", type=int, default=60)
    part = parts.add_parser("soak", help=soak.__doc__.splitlines()[0])
    part.add_argument("--sessions", type=int, default=22)
    given = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads is not to be forked
    import_program()
    with tempfile.TemporaryDirectory(prefix="reliability-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        if given.part == "kills":
            sys.exit(kills.main(given.trials, given.only, folder, given.seed))
        if given.part == "servers":
            sys.exit(servers.main(given.kills, folder, given.seed))
        if given.part == "growth":
            sys.exit(growth.main(given.runs, folder))
        if given.part == "readers":
            sys.exit(readers.main(given.reads, folder))
        if given.part == "soak":
            sys.exit(soak.main(given.sessions, folder))
        sys.exit(resources.main(given.disks, folder, given.seed, given.only))


if __name__ == "__main__":
    main()
