"""Asserts and `check` against a program in another process: what works as if it were here, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.code import Code

Judge = Callable[..., Verdict]
STACK = "class Stack:\n    def __init__(self, *items):\n        self.items = list(items)\n    def push(self, x):\n        self.items.append(x)\n        return self\n    def pop(self):\n        if not self.items:\n            raise Empty('nothing left')\n        return self.items.pop()\n    def __len__(self):\n        return len(self.items)\n    def __getitem__(self, i):\n        return self.items[i]\nclass Empty(LookupError):\n    pass\n"
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
        ("if __name__ == '__main__':\n    raise SystemExit\ndef f():\n    return 1", "assert f() == 1"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int'\ndef f(p):\n    return p.x", "assert f(P(3)) == 3"),
    ],
)  # fmt: skip
def test_it_works_as_in_one_process(judged: Judge, code: str, test: str) -> None:
    verdict = judged(code, [test])
    assert verdict.outcome is Outcome.CORRECT, verdict.reason


@pytest.mark.parametrize(
    ("code", "test", "outcome", "reason"),
    [
        ("def f(x):\n    return x", "assert f(1) == 2", "wrong", "different: test 1: f(1): expected 2, got 1;"),
        ("def f(x):\n    return x", "assert f(1) > 2", "wrong", "different: test 1: f(1): expected above 2, got 1;"),
        ("def f(x):\n    return x", "assert f('a') + 1 == 2", "wrong", "test_raised: test 1: TypeError"),
        ("def f(x):\n    return x / 0", "assert f(1) == 2", "wrong", "raised: test 1: f(1) raised ZeroDivisionError: division by zero"),
        ("def g(x):\n    return x", "assert f(1) == 2", "wrong", "missing_name: the program does not define f"),
        ("def f(x):\n    return x.v", "assert f(P(1)) == 1", "undecided", "missing_name: neither the tests nor the program define P"),
        ("def f(x):\n    return map(int, x)", "assert f('1') == [1]", "wrong", "return_type: test 1: f('1') gave a value of type map"),
        ("class P:\n    pass\ndef f():\n    return P()", "assert f() == P()", "undecided", "unsupported_test: compares two objects"),
        ("class P:\n    pass\ndef f():\n    return P()", "assert f() + 1 == 2", "undecided", "unsupported_test: computes"),
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
