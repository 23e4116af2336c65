"""The image and the services of ``deployment/``, held against the project; docs/hosts.md says what was built and run.

Belongs here: what the files say. Does not belong here: building, which needs a registry; units of systemd
(``test_units.py``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from setbull_pipelines.api import health
from setbull_pipelines.cli.main import main
from setbull_pipelines.settings import load_settings
from setbull_pipelines_tests.deployment.files import (
    DEPLOYMENT,
    DOCKERFILE,
    IMAGE,
    OURS,
    PORTS,
    PROJECT,
)


def services_of(name: str) -> dict[str, dict]:
    return yaml.safe_load((DEPLOYMENT / name).read_text("utf-8"))["services"]


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    """UI and API on one machine."""
    return services_of("compose.yaml")


@pytest.fixture(scope="module")
def with_database() -> dict[str, dict]:
    """Dagster's own services beside PostgreSQL."""
    return services_of("compose-postgres.yaml")


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


def test_everything_that_the_image_takes_is_in_the_project_and_sent_to_who_builds_it() -> None:
    taken = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in taken for source in line.split()[:-1]]
    assert len(sources) >= 6
    assert all((PROJECT / source).exists() for source in sources), sources
    # All but what is named is ignored: tables, settings, environments.
    rules = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    assert rules[1] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(sources)


def test_the_image_takes_nothing_from_an_index_without_its_hash() -> None:
    steps = re.findall(r"pip install[^&\n]+", DOCKERFILE.replace("\\\n", " "))
    assert len(steps) == 2
    for step in steps:
        assert "--require-hashes" in step or {"--no-index", "--no-build-isolation"} <= set(
            step.split()
        )
        assert "--no-deps" in step
    assert "&& pip check" in DOCKERFILE  # since nothing is resolved, something could be missing


def test_the_image_runs_without_rights() -> None:
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    # After the last step that writes outside of a volume.
    assert "RUN" not in DOCKERFILE.partition("\nUSER ")[2]


def test_the_image_has_the_python_of_the_hashes() -> None:
    (python,) = re.findall(r"^FROM python:([\d.]+)-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    hashed = (DEPLOYMENT / "requirements.txt").read_text("utf-8").partition("\n")[0]
    assert f"for Python {python} on Linux" in hashed


def test_the_kubernetes_values_name_the_image_that_is_built() -> None:
    launcher = yaml.safe_load((DEPLOYMENT / "kubernetes.yaml").read_text("utf-8"))["run_launcher"]
    assert launcher["config"]["job_image"] == f"registry.example/{IMAGE}"
    for file, names in OURS.items():
        assert {services_of(file)[name]["image"] for name in names} == {IMAGE}
    assert f"-t {IMAGE} ." in DOCKERFILE


def test_the_commands_of_the_services_are_installed(with_database: dict[str, dict]) -> None:
    for name in OURS["compose-postgres.yaml"]:
        command = with_database[name]["command"]
        assert shutil.which(command[0], path=str(Path(sys.executable).parent)), command
        assert (PROJECT / command[command.index("--workspace") + 1]).is_file()


def test_ui_and_api_are_the_commands_of_a_shell(services: dict[str, dict]) -> None:
    default = yaml.safe_load(re.search(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[1])
    assert default == services["ui"]["command"]
    assert set(services) == set(OURS["compose.yaml"])
    for name, service in services.items():
        program, verb = service["command"]
        assert program == "setbull"
        assert verb == name
        assert verb in main.commands


def test_ui_and_api_listen_on_this_machine_alone_and_publish_nothing(
    services: dict[str, dict],
) -> None:
    for name, service in services.items():
        assert service["network_mode"] == "host"
        assert "ports" not in service
        given = {parameter.name: parameter.default for parameter in main.commands[name].params}
        assert given.get("host", "127.0.0.1") == "127.0.0.1"
        assert given["port"] == PORTS[name]


@pytest.mark.parametrize("name", ["ui", "api"])
def test_a_service_is_healthy_when_its_own_port_answers(
    name: str, services: dict[str, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    how, program, option, code = services[name]["healthcheck"]["test"]
    assert (how, program, option) == ("CMD", "python", "-c")
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if len(asked) == 1 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        here = code.replace(f"127.0.0.1:{PORTS[name]}/", f"127.0.0.1:{server.server_port}/")
        assert here != code
        monkeypatch.setenv("SETBULL_API_TOKEN", "secret")
        exits = [
            subprocess.run([sys.executable, "-c", here], check=False, capture_output=True)
            for _ in "12"
        ]
        server.shutdown()
    assert [finished.returncode for finished in exits] == [0, 1]
    path, authorization = asked[0]
    if name == "api":
        assert authorization == "Bearer secret"
        assert path in {f"/api/v1{route.path}" for route in health.router.routes}
    else:
        assert path == "/server_info"  # of Dagster's web server


def test_nothing_is_written_but_volumes_and_no_rights_are_left(services: dict[str, dict]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True  # or processes of ended runs would stay
        written = [mount.split(":")[1] for mount in service["volumes"] if not mount.endswith(":ro")]
        assert written == [re.search(r"SETBULL_DATA_DIR=(\S+)", DOCKERFILE)[1]]
        kept = re.findall(r"(?:NUMBA_CACHE_DIR|MPLCONFIGDIR)=(\S+)", DOCKERFILE)
        assert len(kept) == 2
        assert all(folder.startswith((*written, *service["tmpfs"])) for folder in kept)


def test_the_services_have_the_variables_that_the_instance_asks_for(
    with_database: dict[str, dict],
) -> None:
    instance = (DEPLOYMENT / "dagster.yaml").read_text("utf-8")
    asked = set(re.findall(r"\{env: (\w+)\}", instance))
    assert len(asked) == 5
    for name in OURS["compose-postgres.yaml"]:
        assert asked <= set(with_database[name]["environment"])
    # The database is made with the same names.
    database = with_database["postgres"]["environment"]
    ours = with_database["daemon"]["environment"]
    assert database["POSTGRES_USER"] == ours["DAGSTER_PG_USERNAME"]
    assert database["POSTGRES_DB"] == ours["DAGSTER_PG_DATABASE"]
    assert database["POSTGRES_PASSWORD"] == ours["DAGSTER_PG_PASSWORD"]


def test_no_password_is_written_down_and_one_must_be_given(with_database: dict[str, dict]) -> None:
    password = with_database["daemon"]["environment"]["DAGSTER_PG_PASSWORD"]
    assert substituted(password, {"DAGSTER_PG_PASSWORD": "x"}) == "x"
    with pytest.raises(AssertionError, match="the password of the database"):
        substituted(password, {})


def test_ports_are_published_on_the_loopback_interface_alone(
    with_database: dict[str, dict],
) -> None:
    ports = [port for service in with_database.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:3000:3000"]


@pytest.mark.parametrize("file", OURS)
@pytest.mark.parametrize(("given", "expected"), [("", None), ("/srv/candles", "/var/lib/candles")])
def test_the_input_is_the_mounted_folder_where_one_is_given(
    given: str,
    expected: str | None,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in OURS[file]:
        service = services_of(file)[name]
        value = substituted(service["environment"]["SETBULL_INPUT"], {"SETBULL_INPUT": given})
        monkeypatch.setenv("SETBULL_INPUT", value)
        monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
        assert load_settings().input == expected
        mount = substituted(service["volumes"][1], {"SETBULL_INPUT": given})
        assert mount == f"{given or 'candles'}:/var/lib/candles:ro"


@pytest.mark.parametrize("name", OURS["compose.yaml"])
def test_settings_and_secrets_are_files_of_the_machine_where_they_are_given(
    name: str,
    services: dict[str, dict],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    service = services[name]
    here = tmp_path / "settings.toml"
    here.write_text("[filters]\nmamba_ratio = 0.3\n", "utf-8")
    given = {"SETBULL_SETTINGS": str(here), "SETBULL_SECRETS": "/etc/setbull.env"}
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
    for environment, ratio in ((given, 0.3), ({}, 0.2)):
        value = substituted(service["environment"]["SETBULL_SETTINGS"], environment)
        source, target, mode = substituted(service["volumes"][2], environment).split(":")
        assert mode == "ro"
        assert value in ("", target)
        # In the container the target has what the source has.
        monkeypatch.setenv("SETBULL_SETTINGS", value and source)
        assert load_settings().filters.mamba_ratio == ratio
        (secrets,) = service["env_file"]
        assert substituted(secrets, environment) == environment.get("SETBULL_SECRETS", "/dev/null")
    # A variable that is named here, even an empty one, would count before that of the file.
    assert set(service["environment"]) == {"SETBULL_INPUT", "SETBULL_SETTINGS"}
