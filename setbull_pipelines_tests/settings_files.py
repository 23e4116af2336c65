"""Settings that are read from a file of some lines."""

from __future__ import annotations

from pathlib import Path

from setbull_pipelines.settings import Settings, load_settings


def load(tmp_path: Path, toml: str = "", **environment: str) -> Settings:
    path = tmp_path / "settings.toml"
    path.write_text(toml, encoding="utf-8")
    return load_settings(
        {"SETBULL_SETTINGS": str(path), "SETBULL_DATA_DIR": str(tmp_path / "data"), **environment}
    )
