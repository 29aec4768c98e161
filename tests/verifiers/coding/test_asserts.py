"""Asserts and `check` against a program in another process: what works as if it were here, and what does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.code import Code

Judge = Callable[..., Verdict]
STACK = "class Stack:\n    def __init__(self, *items):\n        self.items = list(items)\n    def push(self, x):\n        self.items.append(x)\n        return self\n    def pop(self):\n        if not self.items:\n            raise Empty('nothing left')\n        return self.items.pop()\n    def __len__(self):\n        return len(self.items)\n    def __getitem__(self, i):\n        return self.items[i]\nclass Empty(LookupError):\n    pass\n"
YES = "class Y:\n    def __getattr__(self, name):\n        return lambda *a, **k: True\ndef f(x):\n    return Y()"
NODE = "class Node:\n    def __init__(self, data):\n        self.data = data\n        self.left = self.right = None\ndef depth(n):\n    return 0 if n is None else 1 + max(depth(n.left), depth(n.right))\n"


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(l):\n    l.sort()", "l = [3, 1]\nf(l)\nassert l == [1, 3]"),
        ("def f(d):\n    d['b'] = d.pop('a')", "d = {'a': [1]}\nheld = d['a']\nf(d)\nassert d == {'b': [1]}"),
        ("def f(m):\n    m[0][0] = 9", "row = [1]\nm = [row]\nf(m)\nassert row == [9]"),
        ("def f(s):\n    s.add(3)", "s = {1}\nf(s)\nassert s == {1, 3}"),
        ("def f(a, *, b=1):\n    return a + b", "assert f(1, b=4) == 5 and f(1) == 2"),
        ("def f(g, l):\n    return [g(x) for x in l]", "assert f(lambda x: x * 2, [1, 2]) == [2, 4]"),
        ("def f(g):\n    try:\n        g()\n    except KeyError:\n        return 1", "def g():\n    raise KeyError\nassert f(g) == 1"),
        ("def f(n):\n    return lambda x: x + n", "assert f(2)(3) == 5"),
        ("def f(n):\n    yield from range(n)", "assert list(f(3)) == [0, 1, 2]\ng = f(2)\nassert next(g) == 0"),
        ("def f(x, t):\n    return isinstance(x, t)", "assert f(1, int) and not f('', int)"),
        ("def f(x):\n    raise ValueError('no')", "try:\n    f(1)\nexcept ValueError as error:\n    assert str(error) == 'no'\nelse:\n    raise AssertionError"),
        (STACK, "s = Stack(1)\ns.push(2).push(3)\nassert len(s) == 3 and s[0] == 1 and s.pop() == 3 and s.items == [1, 2]"),
        (STACK, "try:\n    Stack().pop()\nexcept Empty as error:\n    assert 'left' in str(error)\nelse:\n    raise AssertionError"),
        (STACK, "try:\n    Stack().pop()\nexcept LookupError:\n    pass"),
        (NODE, "root = Node(1)\nroot.left = Node(2)\nroot.left.right = Node(3)\nassert depth(root) == 3 and root.right is None"),
        ("import sys\ndef f(x):\n    return sys.getsizeof(x)", "assert f((1, 2)) == sys.getsizeof((1, 2))"),
        ("def f(x):\n    print('x' * 9_000_000)\n    return x", "assert f(1) == 1"),
        ("import collections\ndef f(s):\n    return collections.Counter(s)", "assert f('aab') == {'a': 2, 'b': 1}"),
        ("def sum(a, b):\n    return a * b", "assert sum(2, 3) == 6"),
        ("def f(q):\n    q.append(3)", "from collections import deque\nq = deque([1], 2)\nf(q)\nassert q == deque([1, 3])"),
        ("def f(*, l):\n    l.append(3)", "l = [1]\nf(l=l)\nassert l == [1, 3]"),
        ("def f(d):\n    return d.keys()", "assert f({'a': 1}) == {'a'} and list(f({'b': 1})) == ['b']"),
        ("def f(d):\n    return d.items()", "assert sorted(f({'a': 1})) == [('a', 1)]"),
        ("import numpy as np\ndef f(n):\n    return np.arange(n)", "assert np.array_equal(f(2), [0, 1]) and f(3).shape == (3,)"),
        ("if __name__ == '__main__':\n    raise SystemExit\ndef f():\n    return 1", "assert f() == 1"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int'\ndef f(p):\n    return p.x", "assert f(P(3)) == 3"),
    ],
)  # fmt: skip
def test_it_works_as_in_one_process(judged: Judge, code: str, test: str) -> None:
    verdict = judged(code, [test], reference_solution=code)
    assert verdict.outcome is Outcome.CORRECT, verdict.reason


@pytest.mark.parametrize(
    ("code", "test", "outcome", "reason"),
    [
        ("def f(x):\n    return x", "assert f(1) == 2", "wrong", "different: test 1: f(1): expected 2, got 1;"),
        ("def f(x):\n    return x", "assert f(1) > 2", "wrong", "different: test 1: f(1): expected above 2, got 1;"),
        ("def f(x):\n    return x", "assert f('a') + 1 == 2", "wrong", "test_raised: test 1: TypeError"),
        ("def f(x):\n    return x / 0", "assert f(1) == 2", "wrong", "raised: test 1: f(1) raised ZeroDivisionError: division by zero"),
        ("def g(x):\n    return x", "assert f(1) == 2", "wrong", "missing_name: the program does not define f"),
        ("def f(x):\n    return x.v", "assert f(P(1)) == 1", "undecided", "missing_name: neither the tests nor a reference solution define P"),
        ("def f(x):\n    return map(int, x)", "assert f('1') == [1]", "wrong", "return_type: test 1: f('1') gave a value of type map"),
        ("class P:\n    pass\ndef f():\n    return P()", "assert f() == f()", "undecided", "unsupported_test: compares two objects"),
        ("class P:\n    pass\ndef f():\n    return P()", "assert f() + 1 == 2", "undecided", "unsupported_test: computes"),
        ("class S:\n    def __contains__(self, x):\n        return True\ndef f():\n    return S()", "assert 3 in f()", "undecided", "unsupported_test: looks for a value"),
        ("def f(q):\n    return q", "q = [1]\nassert f(q) is q", "undecided", "unsupported_test: asks whether"),
        ("def f():\n    print(1)", "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as s:\n    f()\nassert s.getvalue() == '1\\n'", "undecided", "unsupported_test: changes what"),
        ("import numpy as np\ndef f(n):\n    return np.arange(n)", "assert f(2) == [0, 1]", "wrong", "test_raised: test 1: ValueError"),
        ("def f(x):\n    return 1\ndef close(a, b):\n    return True", "x = f(4)\nassert close(x, 2.0)", "undecided", "missing_name: neither the tests nor a reference solution define close"),
        ("class N:\n    def allclose(self, *a):\n        return True\nnp = N()\ndef f(x):\n    return 1.0", "x = f(4)\nassert np.allclose(x, 2.0)", "wrong", "different: test 1: f(4): not true"),
        *(
            (YES, f"assert f('a').{said}", "undecided", "unsupported_test: asks an object of the program")
            for said in ("endswith('zzz')", "issubset({1, 2})", "equals([1, 2])", "issuperset({1})", "isdisjoint({1})", "index('x') == 1")
        ),
        ("class L:\n    def __len__(self):\n        raise StopIteration\ndef f(x):\n    return L()", "assert all(len(f(n)) == y for n, y in [(1, 2)])\nassert list(map(len, map(f, [1]))) == []", "wrong", "raised: test 1"),
        ("def f(x):\n    return 1", "class A:\n    pass\nassert f(A()) == 1", "undecided", "unsupported_test: argument of type A"),
        ("def f():\n    return f()", "assert f() == 1", "wrong", "raised: test 1: f() raised RecursionError"),
        ("1 +", "assert f() == 1", "wrong", "syntax_error: SyntaxError"),
        ("import nothing_of_this_name", "assert f() == 1", "wrong", "raised: before the first test: ModuleNotFoundError"),
        ("def f():\n    while True:\n        pass", "assert f() == 1", "wrong", "time_limit: test 1: used 0.5 s"),
        ("def f():\n    return 'x' * 10**10", "assert f() == 1", "wrong", "raised: test 1: f() raised MemoryError"),
        ("def f():\n    return 'x' * 9_000_000", "assert f() == 1", "wrong", "output_limit: test 1"),
        ("import ctypes\ndef f():\n    ctypes.string_at(0)", "assert f() == 1", "wrong", "crashed: test 1: signal 11"),
        ("def f():\n    return 1", "assert 1 / 0", "undecided", "bad_reference: the tests call no function"),
        ("def f():\n    return 1", "import nothing_here\nassert f() == 1", "undecided", "bad_reference: the tests themselves raise"),
        ("def f():\n    return 1", "def f():\n    return 2\nassert f() == 2", "undecided", "bad_reference"),
    ],
)  # fmt: skip
def test_what_is_said_of_the_rest(judged: Judge, code: str, test: str, outcome: str, reason: str) -> None:
    verdict = judged(code, [test], plugin=Code(seconds=0.5))
    assert (verdict.outcome.value, verdict.reason[: len(reason)]) == (outcome, reason), verdict.reason


def test_the_share_that_passed_is_kept(judged: Judge) -> None:
    code = "def f(x):\n    return x if x < 3 else exit() if x == 9 else 0"
    asserts = ["assert f(1) == 1", "assert f(4) == 4", "assert f(2) == 2", "assert f(0) == 0"]
    check = "def check(candidate):\n" + "".join(f"    {one.replace('f(', 'candidate(')}\n" for one in asserts)
    for reference in (asserts, check):
        stopped = judged(code, reference, entry_point="f")
        assert (stopped.outcome, stopped.score) == (Outcome.WRONG, 0.0)
        assert "test 2: f(4): expected 4, got 0; 1 of 4 tests passed" in stopped.reason
        whole = judged(code, reference, entry_point="f", plugin=Code(all_tests=True))
        assert (whole.outcome, whole.score) == (Outcome.WRONG, 0.75)
    ended = judged(
        code.replace("exit()", "__import__('os')._exit(0)"),
        ["assert f(1) == 1", "assert f(9) == 9", "assert f(2) == 2"],
        plugin=Code(all_tests=True),
    )
    assert ended.outcome is Outcome.WRONG
    assert ended.score == pytest.approx(1 / 3)
    assert ended.reason.startswith("exited: test 2")


def test_helpers_of_the_question_are_not_the_program_s(judged: Judge) -> None:
    """HumanEval/38 tests a decoder with the encoder that its question gives."""
    question = 'def encode(s: str):\n    return s[::-1]\n\n\ndef decode(s: str):\n    """The other way."""\n'
    check = "def check(candidate):\n    assert candidate(encode('abc')) == 'abc'\n"
    assert (
        judged("def decode(s):\n    return s[::-1]", check, question, entry_point="decode").outcome is Outcome.CORRECT
    )
    both = "def decode(s):\n    return s\n\n\ndef encode(s):\n    return s"
    assert judged(both, check, question, entry_point="decode").outcome is Outcome.WRONG


def test_a_check_that_calls_itself_is_run_once(judged: Judge) -> None:
    code = "n = 0\ndef f():\n    global n\n    n += 1\n    return n"
    check = "def check(candidate):\n    assert f() == 1\ncheck(f)\n"
    assert judged(code, check, entry_point="f").outcome is Outcome.CORRECT


def test_a_reference_solution_that_fails_makes_the_reference_bad(judged: Judge) -> None:
    right, wrong = "def f(x):\n    return x", "def f(x):\n    return -x"
    for answer in (right, wrong, "no program"):
        verdict = judged(answer, ["assert f(1) == 1"], reference_solution=wrong)
        assert verdict.outcome is Outcome.UNDECIDED
        assert verdict.reason.startswith("bad_reference: the reference solution fails: different")
    assert judged(right, ["assert f(1) == 1"], reference_solution=right).outcome is Outcome.CORRECT
    lacking = judged(
        "def f(x):\n    return x.v",
        ["assert f(P(1)) == 1"],
        reference_solution=f"class P:\n    def __init__(self, v):\n        self.v = v\n{right}.v",
    )
    assert (lacking.outcome, lacking.reason[:12]) == (Outcome.WRONG, "missing_name")


def test_a_check_that_returns_early_is_not_decided(judged: Judge) -> None:
    check = "def check(candidate):\n    if candidate(1) == 1:\n        assert True\n        return\n    assert candidate(2) == 3\n"
    verdict = judged("def f(x):\n    return x", check, entry_point="f")
    assert (verdict.outcome, verdict.reason[:36]) == (Outcome.UNDECIDED, "unsupported_test: check returned bef")


def test_the_question_s_stub_is_no_answer(judged: Judge) -> None:
    stub = "class Solution:\n    def f(self, x: int) -> None:\n        pass\n"
    calls = {"kind": "calls", "entry_point": "f", "cases": [{"args": [1], "expected": None}]}
    verdict = judged("x = 1", calls, starter_code=stub)
    assert (verdict.outcome, verdict.reason[:12]) == (Outcome.WRONG, "missing_name")
    answer = "class Solution:\n    def f(self, x: List[int]) -> None:\n        return None"
    assert judged(answer, calls, starter_code=stub).outcome is Outcome.CORRECT


def test_annotations_mean_what_they_mean_in_python(judged: Judge) -> None:
    code = "def f(x: int) -> int:\n    return f.__annotations__['x'](x)"
    assert judged(code, ["assert f('3') == 3"]).outcome is Outcome.CORRECT


def test_references_of_no_known_form_are_bad(judged: Judge) -> None:
    references = (
        {"kind": "calls", "entry_point": "f", "cases": 5},
        {"kind": "asserts", "asserts": ["assert f(1) == 1"], "seconds": 500000},
        [{"input": "1", "output": 3, "testtype": "functional"}],
    )
    for reference in references:
        verdict = judged("def f(x):\n    return x", reference, func_name="f")
        assert (verdict.outcome, verdict.reason[:13]) == (Outcome.UNDECIDED, "bad_reference"), verdict.reason


def test_numbers_that_json_has_not(judged: Judge) -> None:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    for body, expected in (
        ("-9n", -9),
        ("{ a: [x], b: 2 }", {"a": [1], "b": 2}),
        ("1 / 0", float("inf")),
        ("-1 / 0", float("-inf")),
    ):
        calls = {
            "kind": "calls",
            "language": "javascript",
            "entry_point": "f",
            "cases": [{"args": [1], "expected": expected}],
        }
        verdict = judged(f"```js\nfunction f(x) {{ return {body}; }}\n```", calls, is_answer=True)
        assert verdict.outcome is Outcome.CORRECT, verdict.reason


def test_each_case_has_its_own_time(judged: Judge) -> None:
    code = "import time\ndef f(x):\n    end = time.process_time() + x\n    while time.process_time() < end:\n        pass\n    return 1"
    short = [{"args": [0.2], "expected": 1}] * 5
    plugin = Code(seconds=0.6)
    calls = {"kind": "calls", "entry_point": "f", "cases": short}
    assert judged(code, calls, plugin=plugin).outcome is Outcome.CORRECT
    assert judged(code, ["assert f(0.2) == 1"] * 5, plugin=plugin).outcome is Outcome.CORRECT
    endless = {**calls, "cases": [*short[:1], {"args": [1e9], "expected": 1}, *short]}
    assert judged(code, endless, plugin=plugin).reason.startswith("time_limit: test 2")
    capped = judged(code, calls, plugin=Code(seconds=0.6, set_seconds=0.7))
    assert (capped.outcome, capped.reason[:9]) == (Outcome.UNDECIDED, "set_limit")
