"""What the routers share: the state of the application, and answers in their envelope.

Belongs here: what every path needs. Does not belong here: single paths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import pandas as pd
from fastapi import Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from setbull_pipelines.api.jobs import SUCCESS, Dagster, JobRun
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import MOST_ROWS, Error
from setbull_pipelines.pipeline.instruments import NoSuchInstrument, keys_with_symbol, several

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "Wrong input"},
    401: {"model": Error, "description": "The token is missing or wrong"},
    403: {"model": Error, "description": "A page of another site asked"},
    404: {"model": Error, "description": "No such path, instrument or group"},
    429: {"model": Error, "description": "Too many requests from this address; see Retry-After"},
    503: {"model": Error, "description": "Stored tables, settings or Dagster are not usable now"},
}
WITH_BODY: dict[int | str, dict[str, Any]] = ERRORS | {
    411: {"model": Error, "description": "A body without Content-Length"},
    413: {"model": Error, "description": "A body that is too large"},
}
JOB_ERRORS: dict[int | str, dict[str, Any]] = WITH_BODY | {
    500: {"model": Error, "description": "The run failed"}
}


def _live(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


LiveTables = Annotated[Reader, Depends(_live)]
"""Each look sees what is stored then: for answers that wait for a job, or have no end."""


def _as_of_now(reader: LiveTables) -> Iterator[Reader]:
    with reader.as_of_now() as tables:
        yield tables


Tables = Annotated[Reader, Depends(_as_of_now, scope="function")]
"""All that an answer is made of was stored at one moment: bars never stand beside indicators of earlier bars."""


class Page:
    """Which rows of a long answer are wanted, and where the next ones are."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[int | None, Query(ge=1, le=MOST_ROWS, description="Rows at most")] = None,
        offset: Annotated[int, Query(ge=0, le=10**6, description="Rows to leave out first")] = 0,
    ) -> None:
        self._request, self.limit, self._offset = request, limit, offset

    def of(self, rows: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
        """The rows of the page, and headers: how many there are, and ``Link`` with the next page when there is one."""
        end = len(rows) if self.limit is None else self._offset + self.limit
        headers = {"X-Total-Count": str(len(rows))}
        if end < len(rows):
            asked = dict(self._request.query_params) | {"offset": str(end)}
            path = self._request.scope["raw_path"].decode("ascii")
            headers["Link"] = f'<{path}?{urlencode(asked)}>; rel="next"'
        return list(rows[self._offset : end]), headers


Paging = Annotated[Page, Depends()]


def answered(
    data: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """``data`` in the envelope. What cannot be told in JSON, such as NaN, raises ValueError."""
    return JSONResponse({"success": True, "data": data}, status, headers)


def refused(sentence: str, status: int = 400) -> HTTPException:
    """The error to raise for wrong input."""
    return HTTPException(status, sentence)


def not_an_instrument(name: str) -> str:
    """The sentence about a key or symbol that is not known."""
    return f"{name} is not among the instruments; raw.instruments lists them"


def key_with_symbol(symbol: str, instruments: pd.DataFrame) -> str:
    """The key of the instrument with a symbol. Raises NoSuchInstrument where none has it, or more than one."""
    keys = keys_with_symbol(symbol, instruments)
    if len(keys) != 1:
        unknown = not_an_instrument(f"symbol {symbol!r}")
        raise NoSuchInstrument(several(symbol, keys) if keys else unknown)
    return keys[0]


def require_known(reader: Reader, keys: Collection[str]) -> None:
    """404 for the first of ``keys`` that is no instrument: asked where there is nothing to answer with."""
    for key in reader.unknown(keys):
        raise refused(not_an_instrument(key), 404)


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
