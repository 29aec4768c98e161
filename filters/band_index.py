"""Band keys of texts that are there already, as Parquet files in a folder, and the join that finds new copies of them.

A batch is two files: `<stem>.keys.parquet` (key, text; sorted by key: bands x texts rows) and `<stem>.ids.parquet`
(text, id). The stem is a hash of what they hold, so writing a batch again is a no-op; many processes may write. The
scheme, the seed and rensa's algorithm version stand in each file, and what was written under others is refused, not
compared. Texts are not stored: candidates are verified on texts that the caller reads again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracemill.core.errors import InputError
from tracemill.filters.clusters import Copy, Sketches, Text
from tracemill.filters.minhash import SEED, Scheme

if TYPE_CHECKING:
    from tracemill.filters.words import U64

VERSION = 2
"""Of our own part: words, shingles, keys. Raise it with any change of what a text's keys are."""
_FIELD = b"tracemill.minhash"


def write(folder: Path, sketches: Sketches, without: Collection[str] = ()) -> None:
    """Add the texts but those ids, and those that have no word. Raises InputError where the folder holds other keys."""
    import numpy as np

    if not sketches.ids:
        return
    wanted = np.fromiter((one not in without for one in sketches.ids), dtype=np.bool_, count=len(sketches.ids))
    rows = np.flatnonzero(wanted & sketches.comparable)
    write_keys(folder, sketches.scheme, [sketches.ids[row] for row in rows.tolist()], sketches.keys[rows])


def write_keys(folder: Path, scheme: Scheme, ids: Sequence[str], keys: U64) -> None:
    """The same for (texts, bands) keys that are at hand."""
    import numpy as np
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    _check(folder, scheme)
    if not len(ids):
        return
    order = np.argsort(keys, axis=None, kind="stable")
    stem = hashlib.blake2b(keys.tobytes() + "\0".join(ids).encode(), digest_size=16).hexdigest()
    texts = (order // keys.shape[1]).astype(np.uint32)
    by_text = pa.table({"text": np.arange(len(ids), dtype=np.uint32), "id": pa.array(ids, pa.string())})
    _put(folder / f"{stem}.ids.parquet", by_text, scheme)
    by_key = pa.table({"key": keys.ravel()[order], "text": texts})
    _put(folder / f"{stem}.keys.parquet", by_key, scheme)  # last: it is what makes the batch count


def ids(folder: Path) -> Any:
    """An Arrow table (id) of the indexed texts. Texts without a word are never there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(folder.glob("*.keys.parquet"))
    tables = [pq.read_table(str(file).replace(".keys.", ".ids."), columns=["id"]) for file in files]
    return pa.concat_tables([pa.table({"id": pa.array([], pa.string())}), *tables])


def copies_of_indexed(
    folder: Path, sketches: Sketches, stored: Callable[[Sequence[str]], Iterable[Text]]
) -> list[Copy]:
    """New texts that repeat an indexed one, each with the nearest, in the order of the texts.

    `stored` gives the indexed texts of these ids again, in any order; those that are gone may be left out. The sketches
    must not be sealed yet; they are afterwards. Raises InputError where the folder holds keys of another scheme.
    """
    import numpy as np

    found = candidates(folder, sketches)
    new = len(sketches.ids)
    sketches.add(stored(sorted({other for _, other in found})))
    sketches.seal()
    places = {other: new + place for place, other in enumerate(sketches.ids[new:])}
    pairs = np.array([(number, places[other]) for number, other in found if other in places], dtype=np.int64)
    nearest: dict[int, Copy] = {}
    pairs, jaccards = sketches.verified(pairs.reshape(-1, 2))
    for (number, place), jaccard in zip(pairs.tolist(), jaccards.tolist(), strict=True):
        if number not in nearest or jaccard > nearest[number].jaccard:
            other = sketches.ids[place]
            nearest[number] = Copy(sketches.ids[number], other, jaccard, other)
    return [nearest[number] for number in sorted(nearest)]


def candidates(folder: Path, sketches: Sketches) -> list[tuple[int, str]]:
    """(number of the new text, id of an indexed one) that share a band; an id of the same name is no candidate."""
    import duckdb
    import numpy as np
    import pyarrow as pa

    files = _check(folder, sketches.scheme)
    if not files or not sketches.ids:
        return []
    rows = np.flatnonzero(sketches.comparable)
    keys = sketches.keys[rows]
    probe = pa.table({"key": keys.ravel(), "number": np.repeat(rows, keys.shape[1])})
    query = (Path(__file__).parent / "candidates.sql").read_text()
    with duckdb.connect() as connection:
        connection.register("probe", probe)
        values = {"keys": files, "ids": [file.replace(".keys.", ".ids.") for file in files]}
        found: list[tuple[int, str]] = connection.execute(query, values).fetchall()
    return [(number, other) for number, other in found if other != sketches.ids[number]]


def _check(folder: Path, scheme: Scheme) -> list[str]:
    """The folder's files of keys. Raises InputError unless all are of this scheme, seed and version."""
    import pyarrow.parquet as pq

    files = sorted(map(str, folder.glob("*.keys.parquet")))
    ours = _signed(scheme)
    for file in files:
        theirs = json.loads((pq.read_schema(file).metadata or {}).get(_FIELD, b"{}"))
        if theirs != ours:
            differ = ", ".join(
                f"{name} {theirs.get(name)} is not {ours[name]}" for name in ours if theirs.get(name) != ours[name]
            )
            raise InputError(f"{file}: keys of another kind ({differ}); remove the folder and index the texts again")
    return files


def _signed(scheme: Scheme) -> dict[str, Any]:
    """What two texts' keys must have in common to be compared; limits of the verification are not of it."""
    from rensa import RMinHash

    parts = {name: value for name, value in asdict(scheme).items() if name in ("words", "bands", "rows")}
    return {"version": VERSION, "rensa": RMinHash.ALGORITHM_VERSION, "seed": SEED, **parts}


def _put(path: Path, table: Any, scheme: Scheme) -> None:
    """Write it whole or not at all."""
    import pyarrow.parquet as pq

    signed = table.replace_schema_metadata({_FIELD: json.dumps(_signed(scheme))})
    part = path.with_suffix(f".{os.getpid()}.part")
    pq.write_table(signed, part, compression="none", use_dictionary=False)
    part.replace(path)
