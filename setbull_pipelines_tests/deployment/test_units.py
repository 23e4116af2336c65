"""The units of systemd in ``deployment/systemd``, held against the commands, their ports and what they write."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setbull_pipelines.cli.main import main
from setbull_pipelines.errors import INTERRUPTED
from setbull_pipelines_tests.deployment.files import DOCKERFILE, PORTS
from setbull_pipelines_tests.patience import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "deployment" / "systemd"
INSTALLED = "/opt/setbull_pipelines"


def unit(name: str) -> dict[str, list[str]]:
    """The values of every key of the unit of one command, in order."""
    values: dict[str, list[str]] = {}
    for line in (UNITS / f"setbull-{name}.service").read_text("utf-8").splitlines():
        if found := re.match(r"(\w+)=(.*)", line):
            values.setdefault(found[1], []).append(found[2])
    return values


def test_there_is_a_unit_for_each_service_of_the_containers() -> None:
    assert {path.name for path in UNITS.iterdir()} == {f"setbull-{name}.service" for name in PORTS}


@pytest.mark.parametrize("name", PORTS)
def test_a_unit_starts_a_command_on_this_machine_alone(name: str) -> None:
    values = unit(name)
    (folder,) = values["WorkingDirectory"]
    (started,) = values["ExecStart"]
    assert folder == INSTALLED
    assert started == f"{folder}/.venv/bin/setbull {name}"
    given = {parameter.name: parameter.default for parameter in main.commands[name].params}
    assert given.get("host", "127.0.0.1") == "127.0.0.1"
    assert values["Description"][0].endswith(f"http://127.0.0.1:{given['port']}")
    assert given["port"] == PORTS[name]
    for document in values["Documentation"]:
        assert (PROJECT / document.removeprefix(f"file://{INSTALLED}/")).is_file(), document


@pytest.mark.parametrize("name", PORTS)
def test_an_end_that_was_asked_for_is_no_failure(name: str) -> None:
    assert unit(name)["SuccessExitStatus"] == [str(INTERRUPTED)]


@pytest.mark.parametrize("name", PORTS)
def test_a_unit_writes_only_to_its_folder_and_without_rights(name: str) -> None:
    values = unit(name)
    assert values["User"] == ["setbull"]
    assert values["ProtectSystem"] == ["strict"]
    assert values["NoNewPrivileges"] == ["yes"]
    assert values["CapabilityBoundingSet"] == [""]
    assert "ReadWritePaths" not in values
    written = dict(part.split("=") for line in values["Environment"] for part in line.split())
    assert all(
        path.startswith(f"/var/lib/{values['StateDirectory'][0]}/") for path in written.values()
    )
    # What the image sets, since it runs the same.
    assert set(written) <= set(re.findall(r"([A-Z_]+)=", DOCKERFILE))
    assert "SETBULL_DATA_DIR" in written


def test_both_units_have_the_same_rights_and_the_same_tables() -> None:
    of_command = (
        "Description",
        "Documentation",
        "After",
        "ExecStart",
        "KillMode",
        "TimeoutStopSec",
    )
    ui, api = (
        {key: value for key, value in unit(name).items() if key not in of_command} for name in PORTS
    )
    assert ui == api


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = tmp_path / ".venv" / "bin" / "setbull"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    copies = []
    for path in sorted(UNITS.iterdir()):
        copies.append(tmp_path / path.name)
        copies[-1].write_text(path.read_text("utf-8").replace(INSTALLED, str(tmp_path)), "utf-8")

    def said(*files: Path) -> str:
        finished = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, files)],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return finished.stdout + finished.stderr

    assert said(*copies) == ""
    copies[0].write_text(copies[0].read_text("utf-8").replace("Restart=", "Restrat="), "utf-8")
    assert "Restrat" in said(copies[0])
