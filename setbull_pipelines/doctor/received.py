"""What was read of input files and is kept: the landing and its journals.

Belongs here: finding what is not as it was written. Does not belong here: reading inputs (``sources/``).
"""

from __future__ import annotations

from pathlib import Path

from setbull_pipelines.doctor.finding import FAULT, WELL, DataFolder, Finding
from setbull_pipelines.pipeline.raw import landing_directory, read_sources
from setbull_pipelines.sources import checked_json
from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.sources.landing import DamagedLanding, open_landing
from setbull_pipelines.warehouse.looking import shortened


def landed(folder: DataFolder) -> list[Finding]:
    """Every file of every landing against the hash in its manifest, and every journal against its own."""
    root = landing_directory(folder.settings)
    if not root.is_dir():
        return [Finding("landing", WELL, "nothing was received yet")]
    folders = sorted(
        path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    damaged = [path.name for path in folders if not _is_whole(path)]
    found = []
    if damaged:
        found.append(
            Finding(
                "landing",
                FAULT,
                f"{len(damaged):,} of {len(folders):,} are not what was written: {shortened(damaged)}",
                "the input files are read again where they are still what they were; else restore the folders of "
                f"{root} from a backup",
                lambda: _land_again(folder, root, damaged),
            )
        )
    else:
        found.append(Finding("landing", WELL, f"{len(folders):,} read inputs are as written"))
    for path in sorted(root.glob("arrivals-*.json")):
        try:
            checked_json.entries_from_text(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            found.append(
                Finding(
                    "journal",
                    FAULT,
                    f"{path}: {error}",
                    "restore it from a backup, or delete it to take every file in anew, without its earlier contents",
                )
            )
    return found


def _is_whole(path: Path) -> bool:
    landing = open_landing(path)
    return landing is not None and landing.is_as_written()


def _land_again(folder: DataFolder, root: Path, names: list[str]) -> str:
    try:
        for file in read_sources(folder.settings).landed:
            file.landing.require_whole()
    except (NoInput, DamagedLanding) as error:
        return str(error)
    left = [name for name in names if (root / name).exists() and not _is_whole(root / name)]
    if left:
        return f"not of the present input, and not mended: {shortened(left)}"
    return f"{len(names):,} read again from the input"
