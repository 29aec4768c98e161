"""One hierarchy, one exit code a kind."""

from __future__ import annotations

from tracemill.core import errors


def test_each_kind_of_error_has_its_exit_code() -> None:
    kinds = errors.TracemillError.__subclasses__()
    assert {kind.__name__ for kind in kinds} >= {"InputError", "SetupError", "EngineError", "CorpusError", "Stopped"}
    codes = [errors.TracemillError.exit_code, *(kind.exit_code for kind in kinds)]
    assert len(set(codes)) == len(codes)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_nearest_suggests_one_name_or_lists_all() -> None:
    assert errors.nearest("maths", ["math", "code"]) == " (did you mean 'math'?)"
    assert errors.nearest("zzz", ["math", "code"]) == " (known: code, math)"
