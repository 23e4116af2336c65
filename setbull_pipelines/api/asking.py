"""What the routers share: the state of the application, and answers in their envelope.

Belongs here: what every path needs. Does not belong here: single paths.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from setbull_pipelines.api.jobs import SUCCESS, Dagster, JobRun
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import Error

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "Wrong input"},
    401: {"model": Error, "description": "The token is missing or wrong"},
    403: {"model": Error, "description": "A page of another site asked"},
    404: {"model": Error, "description": "No such path or group"},
    503: {"model": Error, "description": "Stored tables, settings or Dagster are not usable now"},
}
WITH_BODY: dict[int | str, dict[str, Any]] = ERRORS | {
    411: {"model": Error, "description": "A body without Content-Length"},
    413: {"model": Error, "description": "A body that is too large"},
}
JOB_ERRORS: dict[int | str, dict[str, Any]] = WITH_BODY | {
    500: {"model": Error, "description": "The run failed"}
}


def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


Tables = Annotated[Reader, Depends(_reader)]


def answered(data: object, status: int = 200) -> JSONResponse:
    """``data`` in the envelope. What cannot be told in JSON, such as NaN, raises ValueError."""
    return JSONResponse({"success": True, "data": data}, status)


def refused(sentence: str, status: int = 400) -> HTTPException:
    """The error to raise for wrong input."""
    return HTTPException(status, sentence)


async def run_job(reader: Reader, job: str, tags: dict[str, str], instead: str) -> JobRun:
    """Start a job and wait as long as the settings say. NoDagster; an error for a run that failed."""
    settings = reader.settings()
    dagster = Dagster(settings.api.dagster_url, settings.data_directory)
    run = await dagster.run(job, tags, settings.api.wait_seconds, instead)
    if run.status in ("FAILURE", "CANCELED"):
        raise refused(
            f"run {run.run_id} ended with {run.status}; see {dagster.url}/runs/{run.run_id}", 500
        )
    return run


def has_ended(run: JobRun) -> bool:
    """Whether the run was successful; one that failed never gets here."""
    return run.status == SUCCESS
