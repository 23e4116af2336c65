"""Sending a call: token, budget, time limit, attempts, and what each status means.

Belongs here: HTTP. Does not belong here: the shape of answers (``answers.py``), storing them, workers.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import tenacity

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.settings import UPSTOX_TOKEN_VARIABLE, UpstoxSettings
from setbull_pipelines.sources.upstox.answers import (
    Candles,
    CutShort,
    InvalidAnswer,
    error_message,
    read_answer,
)
from setbull_pipelines.sources.upstox.budget import RequestBudget
from setbull_pipelines.sources.upstox.calls import Call, CallFailed, TokenRefused

_LARGEST_BODY = 32 * 2**20
_LARGEST_FILE = 64 * 2**20
_REFUSING_THE_TOKEN = (401, 403)
_REQUEST_TIMEOUT, _TOO_MANY = 408, 429
_HIDDEN = "[token]"


class InvalidToken(SetbullError, ValueError):
    """The environment holds a token that cannot be sent."""


class _Passing(Exception):
    """A failure that may be over at the next attempt; ``wait`` in seconds when the broker asked for one."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    settings: UpstoxSettings, url: str, sleep: Callable[[float], None] = time.sleep
) -> bytes:
    """A public file of the broker, without the token. :class:`CallFailed` when the attempts are used up."""

    def attempt() -> bytes:
        try:
            # Not packed once more for the way, and not unpacked: some servers call a packed file a packed answer.
            with httpx.stream(
                "GET",
                url,
                headers={"Accept-Encoding": "identity"},
                timeout=settings.timeout_seconds,
            ) as response:
                status, body = response.status_code, bytearray()
                for part in response.iter_raw():
                    body += part
                    if len(body) > _LARGEST_FILE:
                        raise CallFailed(f"{url}: found more than {_LARGEST_FILE:,} bytes")
        except httpx.HTTPError as error:
            raise _Passing(f"the request failed ({str(error) or type(error).__name__})") from None
        if status == httpx.codes.OK:
            return bytes(body)
        found = f"found HTTP {status}, expected a file"
        if status == _TOO_MANY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _Passing(found)
        raise CallFailed(f"{url}: {found}")

    first = settings.first_retry_seconds
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(settings.attempts),
        wait=tenacity.wait_exponential_jitter(first, settings.longest_wait_seconds, jitter=first),
        retry=tenacity.retry_if_exception_type(_Passing),
        sleep=sleep,
        reraise=True,
    )
    try:
        return attempts(attempt)
    except _Passing as error:
        raise CallFailed(f"{url}: {error}, after {settings.attempts} attempts") from None


class UpstoxClient:
    """Asks for candles, from any number of threads.

    ``sleep`` waits between attempts. Without a token none is sent. Raises :class:`InvalidToken`.
    """

    def __init__(
        self,
        settings: UpstoxSettings,
        token: str | None,
        budget: RequestBudget,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._budget, self._sleep = settings, budget, sleep
        self._token = _checked(token)
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        # Redirects are not followed: the token goes to the configured host and nowhere else.
        self._http = httpx.Client(
            base_url=settings.base_url,
            headers=headers,
            timeout=settings.timeout_seconds,
            limits=httpx.Limits(max_connections=settings.concurrency),
            follow_redirects=False,
        )

    def __enter__(self) -> UpstoxClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def ask(self, call: Call, on_request: Callable[[], None]) -> tuple[bytes, Candles]:
        """Body and candles of a call; ``on_request`` is called before every attempt.

        Raises :class:`CallFailed` when the attempts are used up or another attempt would change nothing.
        """
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._settings.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(_Passing),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._attempt, call, on_request)
        except _Passing as error:
            tried = f"after {attempts.statistics['attempt_number']} attempts"
            raise CallFailed(self._hidden(f"{call}: {error}, {tried}")) from None
        except InvalidAnswer as error:
            raise CallFailed(self._hidden(f"{call}: {error}")) from None

    def _attempt(self, call: Call, on_request: Callable[[], None]) -> tuple[bytes, Candles]:
        self._budget.wait_for_turn()
        on_request()
        try:
            status, headers, body = self._get(call.path(self._settings.api_version))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise _Passing(f"the request failed ({reason})") from None
        if status == httpx.codes.OK:
            try:
                return body, read_answer(body, call)
            except CutShort as error:
                raise _Passing(str(error)) from None
        found = f"found HTTP {status} ({error_message(body)}), expected candles"
        if status in _REFUSING_THE_TOKEN:
            raise TokenRefused(
                self._hidden(
                    f"{call}: {found}; set {UPSTOX_TOKEN_VARIABLE} to a token of today and fetch again, "
                    "what was fetched is kept"
                )
            )
        if status in (_REQUEST_TIMEOUT, _TOO_MANY) or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            wait = _retry_after(headers.get("Retry-After"))
            if wait is not None and wait > self._settings.longest_wait_seconds:
                raise CallFailed(
                    f"{call}: the broker asks to wait {wait:.0f} s, more than upstox.longest_wait_seconds "
                    f"({self._settings.longest_wait_seconds:.0f})"
                )
            if status == _TOO_MANY and wait is not None:
                self._budget.pause(wait)
            raise _Passing(found, wait)
        raise CallFailed(self._hidden(f"{call}: {found}"))

    def _get(self, path: str) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body, within the time limit also when the body comes in drops."""
        deadline = time.monotonic() + self._settings.timeout_seconds
        body = bytearray()
        with self._http.stream("GET", path) as response:
            for part in response.iter_bytes():
                body += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(
                        f"no whole answer within {self._settings.timeout_seconds:g} s"
                    )
                if len(body) > _LARGEST_BODY:
                    raise InvalidAnswer(
                        f"found more than {_LARGEST_BODY:,} bytes, expected one month of candles at most"
                    )
            return response.status_code, response.headers, bytes(body)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """What the broker asked for, else twice as long as the last time and a random part."""
        error = state.outcome and state.outcome.exception()
        if isinstance(error, _Passing) and error.wait is not None:
            return error.wait
        first = self._settings.first_retry_seconds
        longest = self._settings.longest_wait_seconds
        return tenacity.wait_exponential_jitter(initial=first, max=longest, jitter=first)(state)

    def _hidden(self, text: str) -> str:
        """A server can repeat what it was sent."""
        return text.replace(self._token, _HIDDEN) if self._token else text


def _checked(token: str | None) -> str:
    token = (token or "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        # The library would show an impossible header in its error.
        raise InvalidToken(
            f"{UPSTOX_TOKEN_VARIABLE}: found a token with white space or letters outside ASCII inside, expected "
            "the access token as the broker shows it"
        )
    return token


def _retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date; None when it says nothing usable."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
