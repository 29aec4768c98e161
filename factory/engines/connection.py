"""JSON over HTTP to one model server: connections that are kept, retries, rate limits, errors in one line.

Knows nothing of what is asked. Tried again is only what may pass: 408, 409, 425, 429, 5xx, connection errors,
timeouts, replies that are none. `Retry-After` holds back every request, not only the one that was told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.types import Completion
from tracemill.factory.engines.dialects import Body, one_line
from tracemill.factory.engines.rate import Pace

Found = TypeVar("Found")

LONGEST_WAIT_S = 600.0
"""A server that asks for a longer pause (a day's quota) ends the run instead of stalling it."""
_BACKOFF = wait_random_exponential(multiplier=0.5, max=60)  # full jitter: 0 to 0.5 s, 1 s, 2 s, …


class _Again(Exception):
    """A try that failed for a reason that may pass."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


@dataclass
class Connection:
    """One server. `open` it before use; lives on one event loop."""

    key: str
    """Empty where none is needed; never part of a message."""
    key_env: str | None
    tries: int
    timeout_s: float
    concurrency: int
    pace: Pace

    def open(self) -> None:
        """Make ready; connects with the first request."""
        self._slots = asyncio.Semaphore(self.concurrency)  # the wait for a connection must not count as a timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.concurrency),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=30),
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, url: str, body: Body, read: Callable[[Any], Found], estimate: int | None = None) -> Found:
        """What `read` finds in the reply, after as many tries as it takes.

        `estimate` is what the request counts for the token limit; None for what no limit counts. `read` raises
        LookupError, TypeError, ValueError or AttributeError for a reply that is none. Raises RefusedRequest for what
        the server will never take, EngineError for what no try can mend.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.tries),
            wait=_wait_s,
            retry=retry_if_exception_type(_Again),
            sleep=self.pace.clock.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._try, url, body, read, estimate)
        except _Again as error:
            raise EngineError(f"{url} failed {self.tries} times, at last with: {error}") from error

    async def _try(self, url: str, body: Body, read: Callable[[Any], Found], estimate: int | None) -> Found:
        async with self._slots:
            if estimate is None:
                return await self._post(url, body, read)
            await self.pace.take(estimate)
            found = None
            try:
                found = await self._post(url, body, read)
                return found
            finally:
                if isinstance(found, Completion):
                    used = found.prompt_tokens + found.completion_tokens
                    self.pace.correct(estimate, used, found.completion_tokens)
                else:
                    self.pace.correct(estimate, 0, None)

    async def _post(self, url: str, body: Body, read: Callable[[Any], Found]) -> Found:
        """One try. Raises _Again, RefusedRequest or EngineError as `_failure` says."""
        try:
            async with self._session.post(url, json=body) as response:
                raw, status, headers = await response.read(), response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            limit = f" within {self.timeout_s:g} s" if isinstance(error, TimeoutError) else ""
            raise _Again(f"no answer{limit}: {one_line(error) or type(error).__name__}") from error
        try:
            payload = json.loads(raw)
        except ValueError:
            payload = None
        if status == 200 and isinstance(payload, Mapping) and payload.get("error"):
            status = _status_within(payload["error"])  # OpenRouter's way to say that its upstream failed
        if status != 200:
            raise self._failure(url, status, payload, raw, headers.get("Retry-After"))
        try:
            return read(payload)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            shown = one_line(raw[:200].decode("utf-8", "replace"))
            raise _Again(f"a reply that is no completion ({one_line(repr(error))}): {shown}") from error

    def _failure(self, url: str, status: int, payload: Any, raw: bytes, retry_after: str | None) -> Exception:
        """What a reply other than 200 means for the request."""
        message, code = _message_of(payload, raw)
        if self.key:
            message = message.replace(self.key, "…")
        if status in (401, 403):
            remedy = f"put a valid key into {self.key_env}" if self.key_env else "name it in api_key_env"
            return EngineError(f"{url} does not accept the API key ({status}: {message}): {remedy}")
        if code == "insufficient_quota" or status == 402:
            return EngineError(f"the account at {url} is used up ({status}: {message}): add credit")
        if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
            after_s = _seconds(retry_after)
            if after_s is not None and after_s > LONGEST_WAIT_S:
                return EngineError(f"{url} takes nothing for {after_s:.0f} s ({status}: {message}): resume then")
            if after_s is not None:
                self.pace.pause(after_s)
            return _Again(f"{status}: {message}", after_s)
        if status in (400, 404, 413, 422, 501):
            return RefusedRequest(f"{url} answers 404: {message}" if status == 404 else message)
        return EngineError(f"{url} answers {status}: {message}")


def _wait_s(state: RetryCallState) -> float:
    """Full jitter, on top of what the server asks for: those that wait for one instant must not come back in one."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.after_s if isinstance(error, _Again) and error.after_s is not None else 0.0
    return asked + _BACKOFF(state)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, which is seconds or an HTTP date (RFC 9110, 10.2.3); None where it is neither."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _status_within(error: Any) -> int:
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def _message_of(payload: Any, raw: bytes) -> tuple[str, str]:
    """What a server says went wrong, and its code: OpenAI's, SGLang's, FastAPI's and plain-text errors."""
    error = payload.get("error", payload) if isinstance(payload, Mapping) else raw.decode("utf-8", "replace")
    if isinstance(error, Mapping):
        text = error.get("message") or error.get("detail") or error
        return one_line(text), str(error.get("code") or error.get("type") or "")
    return one_line(error) or "no message", ""
