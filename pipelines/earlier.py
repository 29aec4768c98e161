"""Near-duplicates of what earlier jobs have kept: the sieve `near_duplicates` with `scope: corpus`.

Kept is what stands in the newest version of a data set that a job has cut; earlier is the job whose first trace is
older. A trace is only ever dropped for one of an earlier job that is in such a version, so of copies in two jobs one
stays; a job that has selected nothing yet takes nothing from others. For what an earlier job drops later, by another
policy, the copy comes back when the later job is sifted again.

The band keys of the data sets lie in TRACEMILL_CACHE and are brought up to date each time (`filters.band_index`); if
they are lost, they are made again. Texts are read from the corpus for candidates only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tracemill.core.ids import content_id
from tracemill.core.types import Drop, Item
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import item_of
from tracemill.corpus.views import named_sql
from tracemill.filters import band_index
from tracemill.filters.clusters import Sketches, Text, copies_among
from tracemill.filters.near_duplicates import NearDuplicates

AT_ONCE = 50_000
"""Texts that are indexed together: some 30 MB."""


@dataclass(frozen=True, slots=True)
class AgainstEarlier:
    """The sieve, bound to a job of a corpus."""

    sieve: NearDuplicates
    corpus: Corpus
    job_id: str
    cache: Path
    """Folder for the index."""

    @property
    def name(self) -> str:
        return self.sieve.name

    @property
    def version(self) -> str:
        return self.sieve.version

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops of copies of what earlier jobs kept, then of copies among the rest."""
        self._index_others()
        sketches = Sketches(self.sieve.scheme)
        sketches.add(map(self.sieve.text, items))
        if not (new := len(sketches.ids)):
            return
        found = band_index.copies_of_indexed(self._folder, sketches, self._kept_earlier)
        copied = {copy.id for copy in found}
        rest = [number for number in range(new) if sketches.ids[number] not in copied]
        yield from map(self.sieve.drop, [*found, *copies_among(sketches, rest, self.sieve.keep)])

    @property
    def _folder(self) -> Path:
        scheme = self.sieve.scheme  # its limits are no part of the keys
        where = content_id(str(self.corpus.root), scheme.words, scheme.bands, scheme.rows)
        return self.cache / "near_duplicates" / where[:16]

    def _index_others(self) -> None:
        """Add what the index does not have yet of the data sets of other jobs."""
        with self.corpus.connect() as connection:
            connection.register("indexed", band_index.ids(self._folder))
            reader = connection.sql(named_sql("unindexed"), params={"job": self.job_id}).to_arrow_reader(1000)
            texts = (self.sieve.text(item_of(row)) for batch in reader for row in batch.to_pylist())
            while batch := list(islice(texts, AT_ONCE)):
                sketches = Sketches(self.sieve.scheme)
                sketches.add(batch)
                band_index.write(self._folder, sketches)

    def _kept_earlier(self, ids: Sequence[str]) -> Iterator[Text]:
        values = {"ids": list(ids), "job": self.job_id}
        return (self.sieve.text(item_of(row)) for row in self.corpus.stream(named_sql("earlier"), values))
