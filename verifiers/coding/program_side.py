"""In the box of the program under test: runs it, and makes the calls that it is sent.

It sees inputs only. All that leaves is plain content (`values`), handles of the program's own objects, and the names
of exceptions. The program can take this server apart and forge its replies: that changes what it answers, not who
judges. Messages are JSON arrays; each is answered by one.

    ["load", name, prelude, code, forget]    run the prelude, drop the names in `forget`, run the program: in one
                                             namespace called `name`
    ["names", [name, …]]                     → ["ok", {name: value}]: those of its globals that exist
    ["call", target, args, kwargs]           → ["ok", value, args as it left them or null, kwargs if it changed them]
    ["get", object, name] ["set", object, name, value] ["item", object, key] ["unary", object, "iter"]
    any of them → ["raise", name, message, classes], ["refuse", type], or ["callback", function, args, kwargs]: the
    tester is to call a function of its own and to send ["ok", value] or ["raise", …]; then the reply follows.
"""

from __future__ import annotations

import builtins
import io
import json
import sys
import types
from collections.abc import Callable
from typing import Any

from tracemill.verifiers.coding.values import Refused, Tree, array, decode, encode

MESSAGE_CHARS = 300
UNARY: dict[str, Callable[[Any], Any]] = {
    kind.__name__: kind for kind in (iter, next, len, str, repr, bool, int, float, abs, reversed)
}
"""What may be asked of an object: nothing that takes a value which the tester may expect."""


class Nowhere(io.RawIOBase):
    """What a program prints while its functions are called."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


class Server:
    """One program and its objects that the tester has handles of."""

    def __init__(self, receive: Callable[[], bytes], send: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._send = send
        self._module = types.ModuleType("solution")
        self._objects: list[object] = []
        self._handles: dict[int, int] = {}
        self._callbacks: dict[int, int] = {}

    def serve(self) -> None:
        """Answer until the tester is done."""
        while True:
            operation, *arguments = json.loads(self._receive())
            self._reply(self._answer(operation, arguments))

    def _answer(self, operation: str, arguments: list[Any]) -> list[Any]:
        try:
            made: list[Any] = getattr(self, f"_do_{operation}")(*arguments)
        except Refused as error:
            return ["refuse", str(error)]
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a program that exits has not answered
            return _raised(error)
        return made

    def _reply(self, message: list[Any]) -> None:
        try:
            data = json.dumps(message).encode()
        except (ValueError, TypeError, RecursionError) as error:
            data = json.dumps(["refuse", type(error).__name__]).encode()
        self._send(data)

    def _do_load(self, name: str, prelude: str, code: str, forget: list[str]) -> list[Any]:
        self._module.__name__ = name
        sys.modules[name] = self._module
        space = self._module.__dict__
        try:
            exec(compile(prelude, "prelude.py", "exec", dont_inherit=True), space)  # noqa: S102 - this is the box
        except Exception as error:  # noqa: BLE001 - whatever the test set's own code raises is no fault of the program
            return ["prelude", f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]]
        for stub in forget:  # the question's own stub is no answer
            space.pop(stub, None)
        try:
            program = compile(code, "solution.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            return ["syntax", f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]]
        exec(program, space)  # noqa: S102
        return ["ok", None]

    def _do_names(self, names: list[str]) -> list[Any]:
        space = self._module.__dict__
        return ["ok", encode({name: space[name] for name in names if name in space}, self._export)]

    def _do_method(self, owner: str, name: str) -> list[Any]:
        """A method of a new instance of a class, made without arguments."""
        return ["ok", encode(getattr(self._module.__dict__[owner](), name), self._export)]

    def _do_call(self, target: Tree, args: Tree, kwargs: Tree) -> list[Any]:
        function = self._decode(target)
        values = self._decode(args), self._decode(kwargs)
        result = encode(function(*values[0], **values[1]), self._export)
        after = encode(list(values[0]), self._export)
        reply = ["ok", result, None if after == args else after]
        named = encode(values[1], self._export) if values[1] else kwargs
        return reply if named == kwargs else [*reply, named]

    def _do_get(self, target: Tree, name: str) -> list[Any]:
        return ["ok", encode(getattr(self._decode(target), name), self._export)]

    def _do_set(self, target: Tree, name: str, value: Tree) -> list[Any]:
        setattr(self._decode(target), name, self._decode(value))
        return ["ok", None]

    def _do_item(self, target: Tree, key: Tree) -> list[Any]:
        return ["ok", encode(self._decode(target)[self._decode(key)], self._export)]

    def _do_unary(self, target: Tree, name: str) -> list[Any]:
        return ["ok", encode(UNARY[name](self._decode(target)), self._export)]

    def _decode(self, tree: Tree) -> Any:
        return decode(tree, self._resolve)

    def _export(self, value: object) -> Tree:
        """An object of the program as a handle; a callback goes back as what it is."""
        if id(value) in self._callbacks:
            return {"theirs": self._callbacks[id(value)]}
        number = self._handles.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)  # kept, so that its id stays its own
        return {"object": [number, _described(value)]}

    def _resolve(self, name: str, held: Any) -> Any:
        if name == "object":
            return self._objects[held[0]]
        if name == "ndarray":
            return array(held)
        if name != "theirs":
            raise ValueError(f"no value: {name}")

        def callback(*args: Any, **kwargs: Any) -> Any:
            given = encode(list(args), self._export), encode(kwargs, self._export)
            self._reply(["callback", held, *given])
            kind, *rest = json.loads(self._receive())
            if kind == "ok":
                return self._decode(rest[0])
            error = getattr(builtins, rest[0], None)
            raise (error if isinstance(error, type) and issubclass(error, Exception) else RuntimeError)(rest[1])

        self._callbacks[id(callback)] = held
        self._objects.append(callback)
        return callback


def _described(value: object) -> list[Any]:
    """The object's class and name; of an exception class its ancestors: the tester makes one like it."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return ["exception", *(kind.__name__ for kind in value.__mro__)]
    name = getattr(value, "__name__", "")
    return [type(value).__name__, name if isinstance(name, str) else ""]


def _raised(error: BaseException) -> list[Any]:
    try:
        message = str(error)[:MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - the program's own __str__
        message = ""
    return ["raise", type(error).__name__, message, [kind.__name__ for kind in type(error).__mro__]]


def main() -> None:
    """Serve the tester over the box's channel."""
    from sandbox_channel import receive, reply  # type: ignore[import-not-found]

    del sys.modules["sandbox_channel"]
    sys.setrecursionlimit(sys.getrecursionlimit() + 50)  # ours are not the program's
    sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Nowhere()), write_through=True)
    try:
        Server(receive, reply).serve()
    except (EOFError, OSError):
        sys.exit()
