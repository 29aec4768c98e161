"""Settings come from the environment; a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracemill.core.errors import InputError
from tracemill.core.settings import settings


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEMILL_CORPUS", "/data/corpus")
    monkeypatch.setenv("TRACEMILL_NO_SUCH_SETTING", "1")
    assert settings().corpus == Path("/data/corpus")
    monkeypatch.delenv("TRACEMILL_CORPUS")
    assert settings().corpus == Path("tracemill-data/corpus").absolute()
    monkeypatch.setenv("TRACEMILL_CORPUS", "s3://bucket/corpus")
    assert settings().corpus == "s3://bucket/corpus"


@pytest.mark.parametrize(("name", "value"), [("PORT", "seventy"), ("SQL_SECONDS", "0"), ("SQL_ROWS", "-1")])
def test_a_wrong_value_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TRACEMILL_{name}", value)
    with pytest.raises(InputError, match=rf"^TRACEMILL_{name}: .*{value}"):
        settings()
