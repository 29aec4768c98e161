"""The prompts of a job lie in a file, and look as if they lay in a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.ids import prompt_id
from tracemill.core.types import Prompt
from tracemill.factory.thinking import ThinkFormat
from tracemill.pipelines.tasks import Task, Tasks

FORMATS = [ThinkFormat.named(name) for name in ("r1", "native")]


def prompt(text: str, domain: str = "math") -> Prompt:
    return Prompt(prompt_id(text, "math", "1"), text, domain, "math", "1", "test", {"a": [text]})


@given(st.lists(st.tuples(st.text(st.characters(), max_size=20), st.sampled_from("xyz"), st.sampled_from([0, 1]))))
def test_they_come_back_as_they_were_put_in_and_once(rows: list[tuple[str, str, int]]) -> None:
    tasks, kept = Tasks(), dict[str, Task]()
    for text, domain, number in rows:
        one = prompt(text, domain)
        assert tasks.add(one, FORMATS[number]) == (one.id not in kept)
        kept.setdefault(one.id, Task(one, FORMATS[number]))
    tasks.seal()
    assert list(tasks) == list(kept.values())
    assert list(tasks.prompts()) == [task.prompt for task in kept.values()]
    assert list(tasks.ids()) == list(kept)
    assert tasks[1:3] == list(kept.values())[1:3]


def test_kinds_are_told_apart_by_source_domain_and_columns() -> None:
    tasks = Tasks(group_by=("a",))
    for text, domain in (("1", "x"), ("2", "x"), ("3", "y")):
        tasks.add(prompt(text, domain), FORMATS[0])
    assert list(tasks.group_of) == [0, 1, 2]
    assert tasks.columns == {"a"}
    plain = Tasks()
    for text, domain in (("1", "x"), ("2", "y"), ("3", "x")):
        plain.add(prompt(text, domain), FORMATS[0])
    assert list(plain.group_of) == [0, 1, 0]


def test_places_outside_are_refused() -> None:
    tasks = Tasks()
    tasks.add(prompt("a"), FORMATS[0])
    tasks.seal()
    assert tasks[-1] == tasks[0]
    for place in (1, -2):
        with pytest.raises(IndexError):
            tasks[place]
