"""Texts as vectors of what they speak of: the mean of WordLlama's static embeddings of their words (MIT, 256 numbers).

The model (`l2_supercat`, 32,000 tokens of Llama 2, 16 MB) lies in the wheel of PyPI's `wordllama`, extra `[semantic]`.
Its two files are read from there: nothing is downloaded, and the package itself is not imported, since its import sets
up logging, and its `load` looks for the tokenizer in a folder that the wheel does not have, and then in the network.
The first 64 or 128 numbers are a model of their own (trained as Matryoshka embeddings).

Words are what white space separates. Each is tokenised once and its vector remembered, which makes 30 MB/s a core of
the tokenizer's 3.7. A static embedding knows words, not sentences: whose dog bit whom, a minus sign, and numbers it
hardly sees. `filters.quantities` is there for the numbers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from tracemill.core.errors import SetupError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Ints = NDArray[np.int64]

WORDS = 2**17
"""Words remembered; then all are forgotten."""
_WEIGHTS, _TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"


class Embedder(dict[str, int]):
    """Vectors of texts. As a dictionary: where the vector of each word that it has met is."""

    def __init__(self, dimensions: int) -> None:
        """`dimensions`: 64, 128 or 256."""
        import numpy as np

        self.dimensions = dimensions
        self._tokenizer, weights = model()
        self._weights = np.ascontiguousarray(weights[:, :dimensions])
        self._vectors = np.zeros((2**12, dimensions), dtype=np.float32)
        self._lock = Lock()

    def embed(self, texts: Sequence[str], parts: int = 1, least: int = 0) -> Vectors:
        """(texts, parts * dimensions): the vectors of so many parts of each text, in their order, side by side.

        Parts have equally many words; where these are fewer than `least`, words from both sides are taken in, so that
        the parts of a short text overlap. A part has length 1, or is all 0 where it has no words: the mean over parts
        of the cosines of two texts is the product of their rows, divided by `parts`.
        """
        import numpy as np

        words = [text.split() for text in texts]
        with self._lock:
            if len(self) > WORDS:
                self.clear()
            places = np.array(list(map(self.__getitem__, chain.from_iterable(words))), dtype=np.int64)
            taken = self._vectors.take(places, axis=0)
        starts, ends = _windows(np.array(list(map(len, words)), dtype=np.int64), parts, least)
        sums = np.zeros((len(starts), self.dimensions), dtype=np.float32)
        ones = np.ones((ends - starts).max(initial=0), dtype=np.float32)
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            np.dot(ones[: end - start], taken[start:end], out=sums[row])  # six times as fast as np.add.reduceat
        return unit(sums).reshape(len(texts), parts * self.dimensions)

    def __missing__(self, word: str) -> int:
        """Its vector is the sum over its tokens."""
        import numpy as np

        place = len(self)
        if place == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        valid = word.encode("utf-8", "replace").decode()  # no lone surrogates
        tokens = self._tokenizer.encode(valid, add_special_tokens=False).ids
        self._vectors[place] = self._weights[tokens].sum(axis=0, dtype=np.float32)
        self[word] = place
        return place


def _windows(counts: Ints, parts: int, least: int) -> tuple[Ints, Ints]:
    """(texts * parts,) where each part begins and ends, among the words of all texts."""
    import numpy as np

    size = counts[:, None]
    starts = size * np.arange(parts) // parts
    ends = size * np.arange(1, parts + 1) // parts
    starts = np.maximum(0, starts - np.maximum(0, least - (ends - starts)) // 2)
    ends = np.minimum(size, np.maximum(ends, starts + least))
    starts = np.maximum(0, np.minimum(starts, ends - least))
    before = (np.cumsum(counts) - counts)[:, None]
    return (before + starts).ravel(), (before + ends).ravel()


def unit(vectors: Vectors) -> Vectors:
    """The rows, each of length 1; those of zeros as they are."""
    import numpy as np

    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    found: Vectors = vectors / np.where(lengths > 0, lengths, 1)
    return found


def need_model(where: str) -> None:
    """Raises SetupError where the model is not to be had. `where` is what needs it. Quick: loads nothing."""
    if any(importlib.util.find_spec(name) is None for name in ("wordllama", "safetensors", "tokenizers")):
        raise SetupError(f"{where}: wordllama is not installed: run pip install 'tracemill[semantic]'")


@cache
def model() -> tuple[Any, NDArray[np.float16]]:
    """The tokenizer and the (32,000, 256) embeddings. Raises SetupError where they are not to be had."""
    need_model("embeddings")
    from safetensors import safe_open
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    try:
        with safe_open(folder / _WEIGHTS, framework="np") as file:
            return Tokenizer.from_file(str(folder / _TOKENIZER)), file.get_tensor("embedding.weight")
    except OSError as error:
        raise SetupError(f"wordllama in {folder} has no model: run pip install --force-reinstall wordllama") from error


@cache
def embedder(dimensions: int) -> Embedder:
    """One for each process."""
    return Embedder(dimensions)
