"""In the box of the tests: stand-ins for the functions and objects of a program that runs somewhere else.

A call is sent away; what comes back is plain content or a handle. A handle can be called, read, iterated, measured and
printed. It is never asked to compare, to contain or to compute with a value of the test: that would tell it what is
expected, and let it say yes. Functions that the test passes are called back. Messages: see `program_side`.
"""

from __future__ import annotations

import builtins
import collections
import json
from collections.abc import Callable, Iterator
from typing import Any

from tracemill.verifiers.coding.values import Refused, Tree, array, decode, encode

SHOWN = 200
"""Most characters of a value in a report."""
Send = Callable[[bytes], None]
Receive = Callable[[], bytes]


class ReturnType(Exception):
    """The program gave a value that cannot cross."""


class Unsupported(Exception):
    """The test asks for what a stand-in cannot do; says nothing of the program."""


class Link:
    """The way to the program. Remembers how often it was asked, and what it was asked last."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.calls = 0
        self.last = ""
        self.holds_objects = False
        self.named: frozenset[str] = frozenset()
        """What of the program the tests name."""
        self._remotes: dict[int, Remote] = {}
        self._functions: list[Callable[..., Any]] = []

    def ask(self, *message: Any) -> Any:
        """The program's reply, decoded. Raises what the program raised, or ReturnType."""
        self.calls += 1
        self._send(b">" + json.dumps(message).encode())
        while True:
            try:
                kind, *rest = json.loads(self._receive())
                if kind != "callback":
                    made = self._read(kind, rest)
                    break
                reply = self._called_back(*rest)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                raise ReturnType("malformed") from None
            self._send(b">" + json.dumps(reply).encode())
        if isinstance(made, StopIteration | StopAsyncIteration | GeneratorExit) and not (
            message[0] == "unary" and message[2] == "next"
        ):
            # It would end a loop of the tests over map(f, inputs) as if nothing were left to compare.
            made = self._exception("RuntimeError", f"raised {type(made).__name__}", ["RuntimeError"])
        if isinstance(made, BaseException):
            raise made
        return made

    def call(self, target: Tree, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
        """Call the program's function, and change the arguments as it did."""
        self.last = f"{name}({', '.join([*map(show, args), *(f'{key}={show(held)}' for key, held in kwargs.items())])})"
        value, after, named = self.ask("call", target, self.encode(list(args)), self.encode(kwargs))
        if isinstance(after, list) and len(after) == len(args):
            for given, left in zip(args, after, strict=True):
                change(given, left)
        if isinstance(named, dict):
            for key in kwargs.keys() & named.keys():
                change(kwargs[key], named[key])
        return value

    def report(self, **what: Any) -> None:
        """Tell the parent, and wait for its leave to go on."""
        self._send(b"=" + json.dumps({**what, "called": self.calls}).encode())
        self._receive()

    def encode(self, value: object) -> Tree:
        try:
            return encode(value, self._export)
        except Refused as error:
            raise Unsupported(f"argument of type {error}") from None

    def _read(self, kind: str, rest: list[Any]) -> Any:
        if kind == "ok":
            values = [decode(one, self._import) for one in rest]
            return (*values, None)[:3] if len(rest) > 1 else values[0]
        if kind == "raise":
            return self._exception(*rest)
        raise ReturnType(str(rest[0]) if kind == "refuse" and rest else "malformed reply")

    def _called_back(self, number: int, args: Tree, kwargs: Tree) -> list[Any]:
        try:
            given = decode(args, self._import), decode(kwargs, self._import)
            return ["ok", self.encode(self._functions[number](*given[0], **given[1]))]
        except Exception as error:  # noqa: BLE001 - the program's to handle
            return ["raise", type(error).__name__, str(error)[:SHOWN]]

    def _export(self, value: object) -> Tree:
        if isinstance(value, Remote):
            return {"object": [object.__getattribute__(value, "_number"), []]}
        if not callable(value) or isinstance(value, type):
            raise Refused(type(value).__name__)
        self._functions.append(value)
        return {"theirs": len(self._functions) - 1}

    def _import(self, name: str, held: Any) -> Any:
        if name == "theirs":
            return self._functions[held]
        if name == "ndarray":
            return array(held)
        if name != "object":
            raise ValueError(f"no value: {name}")
        number, (kind, *lineage) = held
        if kind == "exception":
            return exception_class(lineage)
        self.holds_objects = self.holds_objects or kind not in ("function", "method", "builtin_function_or_method")
        return self._remotes.setdefault(number, Remote(self, number, (lineage and lineage[0]) or kind))

    def _exception(self, name: str, message: str, lineage: list[str]) -> BaseException:
        error = exception_class(lineage)(message)
        error.of_program = True  # type: ignore[attr-defined]
        return error


class Remote:
    """Stands for an object of the program."""

    def __init__(self, link: Link, number: int, kind: str) -> None:
        for name, value in (("_link", link), ("_number", number), ("_kind", kind)):
            object.__setattr__(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._link.call(self._tree(), args, kwargs, self._kind)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        value = self._link.ask("get", self._tree(), name)
        tells = name in _PREDICATES or (name in _METHODS and self._kind not in self._link.named)
        return _without_arguments(value, name) if tells and isinstance(value, Remote) else value

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.ask("set", self._tree(), name, self._link.encode(value))

    def __getitem__(self, key: Any) -> Any:
        return self._link.ask("item", self._tree(), self._link.encode(key))

    def __iter__(self) -> Iterator[Any]:
        return self._unary("iter")  # type: ignore[no-any-return]

    def __contains__(self, value: object) -> bool:
        try:
            every = iter(self)
        except TypeError:  # it may have a __contains__, which would be told the value
            raise Unsupported("looks for a value in an object of the program") from None
        return any(value is held or value == held for held in every)

    def __eq__(self, other: object) -> bool:
        if other is None:
            return False
        if isinstance(other, Remote):
            if self is other:
                return True
            raise Unsupported("compares two objects of the program")
        raise ReturnType(self._kind)

    __hash__ = object.__hash__

    def _tree(self) -> Tree:
        return {"object": [self._number, []]}

    def _unary(self, name: str) -> Any:
        return self._link.ask("unary", self._tree(), name)


_METHODS = {name for kind in (str, bytes, list, set, dict, int, float, collections.deque) for name in dir(kind)}
_PREDICATES = {
    *("startswith", "endswith", "issubset", "issuperset", "isdisjoint", "equals", "eq", "ne", "all", "any", "isin"),
    *("allclose", "array_equal", "isclose", "identical"),
}
"""Methods that tests call on values with what they expect as the argument, and that say yes or no."""


def _without_arguments(method: Remote, name: str) -> Callable[..., Any]:
    """A method that the tests may think is a list's or a text's: the program is not given what they expect of it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise Unsupported(f"asks an object of the program: {name}")
        return method()

    return call


def _forwarded(name: str) -> Callable[[Remote], Any]:
    return lambda remote: remote._unary(name)


def _no_operator(remote: Remote, other: object) -> Any:
    raise Unsupported("computes with an object of the program")


for _name in ("next", "len", "str", "repr", "bool", "int", "float", "abs", "reversed"):
    setattr(Remote, f"__{_name}__", _forwarded(_name))
for _name in ("lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    setattr(Remote, f"__{_name}__", _no_operator)
    setattr(Remote, f"__r{_name}__", _no_operator)


def exception_class(lineage: list[str]) -> type[BaseException]:
    """The built-in exception of that name, or a new one under its nearest built-in ancestor."""
    known = [getattr(builtins, str(name), None) for name in lineage]
    bases = [kind for kind in known if isinstance(kind, type) and issubclass(kind, BaseException)]
    base = bases[0] if bases else Exception
    key = (str(lineage[0]) if lineage else "Exception", base)
    return base if known[:1] == [base] else _CLASSES.setdefault(key, type(key[0], (base,), {"__init__": _init}))


def _init(self: BaseException, message: str) -> None:
    BaseException.__init__(self, message)


_CLASSES: dict[tuple[str, type[BaseException]], type[BaseException]] = {}


def change(given: Any, left: Any) -> None:
    """Give an argument the content that the call left in it, in place, so that every name of it sees the change."""
    kind = type(given)
    if kind is not type(left):
        return
    if kind in (list, bytearray):
        if kind is list:
            left = [_kept(old, new) for old, new in zip(given, left, strict=False)] + left[len(given) :]
        given[:] = left
    elif kind is collections.deque:
        given.clear()
        given.extend(left)
    elif kind.__name__ == "ndarray" and given.shape == left.shape:
        given[...] = left
    elif kind is tuple:
        for old, new in zip(given, left, strict=False):
            change(old, new)
    elif hasattr(given, "update") and hasattr(given, "clear"):
        is_mapping = isinstance(given, dict)
        kept = {key: _kept(given.get(key), left[key]) for key in left} if is_mapping else left
        given.clear()
        given.update(kept)


def _kept(old: Any, new: Any) -> Any:
    """The same object with its new content, where it can be changed; else the new one."""
    if type(old) is type(new) and isinstance(old, list | dict | set | bytearray):
        change(old, new)
        return old
    return new


def show(value: object) -> str:
    """The value as a report prints it."""
    try:
        text = f"<{value._kind} object>" if isinstance(value, Remote) else repr(value)
    except Exception:  # noqa: BLE001 - an int of too many digits, an object inside that raises
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
