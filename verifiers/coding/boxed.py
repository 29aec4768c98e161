"""Programs that run in the box, as text: our own modules, compiled here, and the function that starts them.

The box has nothing of ours to import from, and compiling a few hundred lines for each run would cost more than the
run. The bytes are ours and made by this interpreter; nothing that comes out of a box is ever unmarshalled.
"""

from __future__ import annotations

import binascii
import marshal
from functools import cache
from pathlib import Path

_NEEDED = {
    "program_side": ("values", "program_side"),
    "tester_side": ("values", "stand_ins", "tester_side"),
}
"""What each of them is made of, in the order of import."""
_START = """\
import binascii, marshal, sys, types
def start():
    for name, code in marshal.loads(binascii.a2b_base64({modules!r})):
        module = sys.modules[name] = types.ModuleType(name)
        exec(code, module.__dict__)
    return module.main
start()()
"""


@cache
def program(name: str) -> str:
    """The source of a program that runs `main()` of the module `name` of this package."""
    package = __name__.rpartition(".")[0]
    modules = []
    for short in _NEEDED[name]:
        path = Path(__file__).with_name(f"{short}.py")
        modules.append(
            (f"{package}.{short}", compile(path.read_text(encoding="utf-8"), f"<{short}>", "exec", optimize=2))
        )
    return _START.format(modules=binascii.b2a_base64(marshal.dumps(modules), newline=False))
