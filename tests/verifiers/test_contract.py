"""What holds for every verifier, whatever it judges. A new plugin is tested by being there."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from tracemill.core import plugins
from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Completion, Outcome, Prompt, Request, Trace, Verdict
from tracemill.verifiers.judging import judge

MODULES = plugins.load("verifiers")
Case = Callable[..., tuple[Prompt, Trace]]
Replying = Callable[..., Callable[[Request], Completion]]
HOSTILE = (
    "",
    "\0",
    "\ud800 lone \udfff",
    "\u202e\u200f12",
    "x" * 100_000,
    "1 " * 50_000,
    "\\boxed{" * 5_000,
    "\\boxed{" + "{" * 5_000 + "}" * 5_000 + "}",
    "\\boxed{" + "(" * 190 + "1" + ")" * 190 + "}",
    "\\frac{1}{0}",
    "\\boxed{\\frac{\\frac{1}{}}}",
    "$" * 1_000,
    "answer is " * 10_000,
    "\\text{" * 10_000,
    "/" * 50_000,
    "<answer>" * 100,
    "%s %n {0} {{}}",
    "__import__('os').abort()",
)


def _judged(example: VerifierExample, module: ModuleType, make_case: Case, replying: Replying) -> Verdict:
    prompt, trace = make_case(
        example.answer, example.reference, example.prompt, example.metadata, example.reasoning, example.faults
    )
    plugin = module.plugin
    if example.replies:
        plugin = dataclasses.replace(plugin, ask=replying(*example.replies))
    return judge(prompt, trace, (plugin,))[0]


@pytest.mark.parametrize(
    ("name", "example"),
    [pytest.param(n, e, id=f"{n}-{e.why}") for n, m in MODULES.items() for e in m.EXAMPLES],
)
def test_an_example_is_judged_as_it_says(
    name: str, example: VerifierExample, make_case: Case, replying: Replying
) -> None:
    first = _judged(example, MODULES[name], make_case, replying)
    second = _judged(example, MODULES[name], make_case, replying)
    assert first.outcome is example.outcome, first
    assert dataclasses.replace(first, elapsed_ms=0) == dataclasses.replace(second, elapsed_ms=0)
    assert (first.trace_id, first.verifier, first.version) == ("t", name, MODULES[name].plugin.version)
    assert first.elapsed_ms > 0
    assert first.reason


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_a_plugin(name: str) -> None:
    module = MODULES[name]
    plugin = module.plugin
    assert module.__doc__
    assert type(plugin).__doc__
    assert module.__name__.rpartition(".")[2] == name
    assert isinstance(plugin.version, str)
    assert plugin.version
    assert plugin == type(plugin)() == pickle.loads(pickle.dumps(plugin))
    assert not {"name", "version"} & {field.name for field in dataclasses.fields(plugin)}
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        plugin.name = "other"


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_right_wrong_and_adversarial(name: str) -> None:
    kinds = {example.why.partition(":")[0] for example in MODULES[name].EXAMPLES}
    assert kinds == {"right", "wrong", "adversarial"}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_gets_a_verdict(name: str, text: str, make_case: Case) -> None:
    metadata = {"task": "chain_sum"}
    for answer, reference in ((text, "12"), ("12", text)):
        (verdict,) = judge(*make_case(answer, reference, text, metadata), (MODULES[name].plugin,))
        assert name == "format" or verdict.outcome is not Outcome.CORRECT, (answer[:50], reference[:50], verdict)
        assert verdict.score is None or 0 <= verdict.score <= 1
        assert "\n" not in verdict.reason


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_gets_a_verdict_against_a_real_reference(name: str, text: str, make_case: Case) -> None:
    """The text above is a bad reference where references are structured (json, instruction), so nothing is judged."""
    rows = [example for example in MODULES[name].EXAMPLES if example.why.startswith("right") and not example.replies]
    for row in rows[:1]:
        (verdict,) = judge(*make_case(text, row.reference, row.prompt, row.metadata), (MODULES[name].plugin,))
        assert verdict.score is None or 0 <= verdict.score <= 1
        assert "\n" not in verdict.reason
        assert not verdict.reason.startswith(("bad_reference", "no_reference", "error"))


def test_loading_the_plugins_is_light() -> None:
    heavy = ("math_verify", "sympy", "reasoning_gym", "latex2sympy2_extended", "numpy", "torch", "ray", "pydantic")
    code = (
        f"import sys, json, tracemill.core.plugins as p; p.load('verifiers');"
        f"print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []
