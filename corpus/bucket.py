"""A corpus under a prefix of a bucket on an S3-compatible store, by obstore (the Rust crate that deltalake uses too).

The store must honour conditional puts (`If-None-Match`, `If-Match`), as AWS S3, MinIO, Ceph and R2 do, and show an
object to everybody once its put is answered. Credentials and endpoint come from the standard `AWS_…` variables.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deltalake.exceptions import DeltaError

from tracemill.core.errors import CorpusError, SetupError
from tracemill.corpus.disk import first_line
from tracemill.corpus.lease import Lease, is_held
from tracemill.corpus.wal import Log

if TYPE_CHECKING:
    from obstore.store import S3Store

TRIES = 12
"""Of a request that failed in a way that may pass: some 40 s in all, on top of obstore's own tries."""
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*)/?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it was read."""

    data: bytes
    etag: str
    put_at: datetime
    """By the store's clock, in whole seconds."""


class Bucket:
    """A `corpus.place.Place` on an object store; may be used from many threads."""

    tries = TRIES
    batch = 10_000  # a commit asks for some 60 objects, 1.3 s at 20 ms each

    def __init__(self, bucket: str, prefix: str) -> None:
        self.root = f"s3://{bucket}{prefix}"
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        is_plain = (self.endpoint or "").startswith("http://")
        self.options = {"allow_http": "true"} if is_plain else {}
        self.store = _store(bucket, prefix.lstrip("/"), is_plain)

    @classmethod
    def at(cls, url: str) -> Bucket:
        """Raises CorpusError where that is no URL of a bucket."""
        found = _URL.fullmatch(url)
        if found is None:
            raise CorpusError(
                f"{url}: is no s3://bucket/prefix; use letters, digits, '.', '_', '=' and '-' between the slashes"
            )
        return cls(found[1], found[2])

    def read(self, name: str) -> bytes | None:
        with self.reading():
            found = self.get(name, tries=1)  # the first thing that is asked: a wrong endpoint is told at once
        return None if found is None else found.data

    def size(self, name: str) -> int | None:
        import obstore

        with self.reading():
            try:
                return self._again(lambda: obstore.head(self.store, name))["size"]
            except FileNotFoundError:
                return None

    def replace(self, name: str, data: bytes) -> None:
        with self.writing(name):
            self.put(name, data)

    def holds(self, name: str) -> bool:
        import obstore

        with self.reading():
            return self._again(lambda: bool(next(iter(obstore.list(self.store, name or None, chunk_size=1)), [])), 2)

    def sync_commit(self, table: str, version: int) -> None:
        """What the store has answered is durable."""

    def sync_all(self) -> None:
        """What the store has answered is durable."""

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        with self._told(f"{self.root}/{name}: cannot be written", "; nothing durable is lost"):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Like `writing`."""
        with self._told(f"{self.root}: cannot be read"):
            yield

    @contextmanager
    def _told(self, what: str, beside: str = "") -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (OSError, BaseError, DeltaError) as error:
            raise CorpusError(f"{what} ({reason(error, self.endpoint)}){beside}") from error

    @contextmanager
    def spill(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tracemill-spill-") as folder:
            yield Path(folder)

    def log(self, job_id: str, last: Callable[[], int]) -> Log:
        from tracemill.corpus.bucket_log import BucketLog

        with self.writing(f"ledger/{job_id}"):
            lease = Lease.take(self, job_id)
            try:
                return BucketLog(self, job_id, lease, last)
            except BaseException:
                lease.release()
                raise

    def is_locked(self, job_id: str) -> bool:
        with self.reading():
            return is_held(self, job_id)

    def ranges(self, path: str, start: int, length: int) -> bytes:
        """Bytes of an object of this corpus by its URL. Raises OSError."""
        import obstore
        from obstore.exceptions import BaseError

        name = path.removeprefix(f"{self.root}/")
        try:
            return bytes(self._again(lambda: obstore.get_range(self.store, name, start=start, length=length)))
        except (BaseError, OSError) as error:
            raise OSError(reason(error, self.endpoint)) from error

    def get(self, name: str, tries: int = TRIES) -> Found | None:
        """An object; None where there is none."""
        import obstore

        def attempt() -> Found:
            found = obstore.get(self.store, name)
            return Found(bytes(found.bytes()), str(found.meta["e_tag"]), found.meta["last_modified"])

        try:
            return self._again(attempt, tries)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None

    def put(self, name: str, data: bytes) -> None:
        """Put an object, over whatever is there."""
        import obstore

        self._again(lambda: obstore.put(self.store, name, data, use_multipart=False))

    def put_if(self, name: str, data: bytes, etag: str | None) -> str | None:
        """Put an object that must not be there (None) or be the version `etag`; gives its ETag, None if it was not so.

        `data` must be unlike what anybody else would put: where an answer is lost, that tells whose it was.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if etag is None else {"e_tag": etag}

        def attempt() -> str | None:
            try:
                return obstore.put(self.store, name, data, mode=mode, use_multipart=False)["e_tag"]
            except (AlreadyExistsError, PreconditionError):
                found = self.get(name)
                if found is None:  # two at once, and the store refused both (409)
                    raise
                return found.etag if found.data == data else None

        return self._again(attempt)

    def names(self, folder: str) -> list[str]:
        """Names of the objects in a folder, sorted."""
        import obstore

        found = self._again(lambda: obstore.list(self.store, folder).collect())
        return sorted(str(each["path"]) for each in found)

    def delete(self, names: list[str]) -> None:
        import obstore

        if names:
            self._again(lambda: obstore.delete(self.store, names))

    def _again(self, work: Callable[[], T], tries: int = TRIES) -> T:
        """The work, tried again where the store could not be reached or failed."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        for attempt in range(1, tries):
            try:
                return work()
            except (PermissionDeniedError, UnauthenticatedError, OSError):
                raise
            except BaseError:
                time.sleep(min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))
        return work()


def _store(bucket: str, prefix: str, is_plain: bool) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise SetupError("a corpus on S3 needs obstore; pip install 'tracemill[s3]'") from None
    # Few tries, for a wrong endpoint is to be told soon; `_again` goes on where it is worth it.
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={"allow_http": is_plain, "timeout": "120s", "connect_timeout": "5s"},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=120)},
    )


def reason(error: Exception, endpoint: str | None) -> str:
    """One line, with the remedy, of what obstore, deltalake or DuckDB say at length."""
    text = str(error)
    where = endpoint or "AWS"
    if "NoSuchBucket" in text:
        return "no such bucket; create it, or name another"
    if "NoSuchKey" in text:
        return "an object of it is missing; restore it"
    if re.search(
        r"status code: 40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ermission ?[dD]enied", text
    ):
        return "access denied; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what the key may do with the bucket"
    if "169.254.169.254" in text:
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if re.search(r"kind: (Connect|Timeout|Request)|onnection refused|error sending request|timed out", text):
        return f"{where} cannot be reached; check AWS_ENDPOINT_URL and the network"
    return f"{first_line(error)}; mend it, then run again"
