"""The files of the image and the services, and the ports that these listen on."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYMENT = PROJECT / "deployment"
DOCKERFILE = (DEPLOYMENT / "Dockerfile").read_text("utf-8")
IMAGE = "setbull-pipelines:0.1.0"
PORTS = {"ui": 3000, "api": 8000}
OURS = {"compose.yaml": ("ui", "api"), "compose-postgres.yaml": ("webserver", "daemon")}
