"""The image and the services of ``deployment/``, as far as a machine without a registry can tell: none is built."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from setbull_pipelines.settings import load_settings

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYMENT = PROJECT / "deployment"
DOCKERFILE = (DEPLOYMENT / "Dockerfile").read_text("utf-8")
IMAGE = "setbull-pipelines:0.1.0"
OURS = ("webserver", "daemon")


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return yaml.safe_load((DEPLOYMENT / "compose.yaml").read_text("utf-8"))["services"]


def substituted(value: str, environment: dict[str, str]) -> str:
    """A value after the substitutions that compose makes: ``${A:?text}``, ``${A:-text}``, ``${A:+text}``."""

    def one(match: re.Match) -> str:
        name, sign, text = match.groups()
        given = environment.get(name, "")
        if sign == "?":
            assert given, text
            return given
        return (given or text) if sign == "-" else (text if given else "")

    return re.sub(r"\$\{(\w+):([?+-])([^}]*)\}", one, value)


def test_everything_that_the_image_takes_is_in_the_project() -> None:
    taken = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in taken for source in line.split()[:-1]]
    assert len(sources) >= 6
    assert all((PROJECT / source).exists() for source in sources), sources
    assert not any(source.startswith("data") for source in sources)


def test_the_image_is_built_from_the_pinned_versions_and_runs_without_rights() -> None:
    assert "--constraint constraints.txt" in DOCKERFILE
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    extras = re.search(r"'\.\[([a-z,]+)\]'", DOCKERFILE)[1].split(",")
    project = (PROJECT / "pyproject.toml").read_text("utf-8")
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)


def test_the_image_has_the_python_of_the_project() -> None:
    assert "FROM python:3.11-slim" in DOCKERFILE
    assert sys.version_info[:2] >= (3, 11)


def test_the_kubernetes_values_name_the_image_that_is_built(services: dict[str, dict]) -> None:
    launcher = yaml.safe_load((DEPLOYMENT / "kubernetes.yaml").read_text("utf-8"))["run_launcher"]
    assert launcher["config"]["job_image"] == f"registry.example/{IMAGE}"
    assert {services[name]["image"] for name in OURS} == {IMAGE}
    assert f"-t {IMAGE} ." in DOCKERFILE


def test_the_commands_of_the_services_are_installed(services: dict[str, dict]) -> None:
    default = yaml.safe_load(re.search(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[1])
    for name in OURS:
        command = services[name].get("command", default)
        assert shutil.which(command[0], path=str(Path(sys.executable).parent)), command
        assert (PROJECT / command[command.index("--workspace") + 1]).is_file()


def test_the_services_have_the_variables_that_the_instance_asks_for(
    services: dict[str, dict],
) -> None:
    instance = (DEPLOYMENT / "dagster.yaml").read_text("utf-8")
    asked = set(re.findall(r"\{env: (\w+)\}", instance))
    assert len(asked) == 5
    for name in OURS:
        assert asked <= set(services[name]["environment"])
    # The database is made with the same names.
    database = services["postgres"]["environment"]
    ours = services["daemon"]["environment"]
    assert database["POSTGRES_USER"] == ours["DAGSTER_PG_USERNAME"]
    assert database["POSTGRES_DB"] == ours["DAGSTER_PG_DATABASE"]
    assert database["POSTGRES_PASSWORD"] == ours["DAGSTER_PG_PASSWORD"]


def test_no_password_is_written_down_and_one_must_be_given(services: dict[str, dict]) -> None:
    password = services["daemon"]["environment"]["DAGSTER_PG_PASSWORD"]
    assert substituted(password, {"DAGSTER_PG_PASSWORD": "x"}) == "x"
    with pytest.raises(AssertionError, match="the password of the database"):
        substituted(password, {})


def test_ports_are_published_on_the_loopback_interface_alone(services: dict[str, dict]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:3000:3000"]


@pytest.mark.parametrize(("given", "expected"), [("", None), ("/srv/candles", "/var/lib/candles")])
def test_the_input_is_the_mounted_folder_where_one_is_given(
    given: str,
    expected: str | None,
    services: dict[str, dict],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    value = substituted(
        services["daemon"]["environment"]["SETBULL_INPUT"], {"SETBULL_INPUT": given}
    )
    monkeypatch.setenv("SETBULL_INPUT", value)
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
    assert load_settings().input == expected
    mount = substituted(services["daemon"]["volumes"][1], {"SETBULL_INPUT": given})
    assert mount == f"{given or 'candles'}:/var/lib/candles:ro"
