"""The packaged embeddings: what a vector is, and that nothing is asked of the network."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tracemill.core.errors import SetupError
from tracemill.filters import embedding
from tracemill.filters.embedding import Embedder, embedder, model, need_model, unit

TEXT = "A baker bakes 48 loaves a day,\n\nsells 31 of them, and gives the rest to $x$ schools."


def plain(words: list[str], dimensions: int) -> NDArray[np.float64]:
    tokenizer, weights = model()
    tokens = [token for word in words for token in tokenizer.encode(word, add_special_tokens=False).ids]
    total = weights[tokens, :dimensions].astype(np.float64).sum(axis=0)
    found: NDArray[np.float64] = total / (np.linalg.norm(total) or 1.0)
    return found


@pytest.mark.parametrize("dimensions", [64, 128, 256])
def test_a_text_is_the_mean_of_its_tokens(dimensions: int) -> None:
    found = embedder(dimensions).embed([TEXT, "", TEXT.split()[1]])
    assert found.shape == (3, dimensions)
    np.testing.assert_allclose(found[0], plain(TEXT.split(), dimensions), atol=1e-5)
    np.testing.assert_allclose(found[2], plain(["baker"], dimensions), atol=1e-5)
    assert not found[1].any()


@given(st.lists(st.integers(0, 30), max_size=4), st.integers(1, 5), st.integers(0, 12))
def test_parts_follow_each_other_and_are_long_enough(sizes: list[int], parts: int, least: int) -> None:
    words = [[f"w{n}x{number}" for number in range(size)] for n, size in enumerate(sizes)]
    found = embedder(64).embed([" ".join(some) for some in words], parts, least).reshape(len(sizes), parts, 64)
    for some, rows in zip(words, found, strict=True):
        size = len(some)
        for part, row in enumerate(rows):
            start, end = size * part // parts, size * (part + 1) // parts
            start = max(0, start - max(0, least - (end - start)) // 2)
            end = min(size, max(end, start + least))
            start = max(0, min(start, end - least))
            assert end - start >= min(least, size)
            np.testing.assert_allclose(row, plain(some[start:end], 64), atol=1e-5)


def test_what_is_forgotten_is_learnt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "WORDS", 5)
    small = Embedder(64)
    before = small.embed([TEXT])
    small.embed([" ".join(f"word{number}" for number in range(5_000))])  # more than the first room for vectors
    np.testing.assert_array_equal(small.embed([TEXT]), before)
    assert len(small) == len(set(TEXT.split()))


def test_any_text_has_a_vector() -> None:
    texts = ["\ud800 lone \udfff", "\0", "x" * 100_000, "文" * 10_000, "\U0001f600", "e\u0301"]
    found = embedder(64).embed(texts)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_rows_of_zeros_stay_zeros() -> None:
    np.testing.assert_array_equal(
        unit(np.array([[0, 0], [3, 4]], np.float32)), np.array([[0, 0], [0.6, 0.8]], np.float32)
    )


def test_neither_the_network_nor_the_package_is_needed() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from tracemill.filters.embedding import embedder\n"
        "assert embedder(64).embed(['a baker']).any()\n"
        "print('wordllama' in sys.modules, 'requests' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False False"


def test_what_is_missing_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(SetupError) as error:
        need_model("--semantic")
    assert str(error.value) == "--semantic: wordllama is not installed: run pip install 'tracemill[semantic]'"
