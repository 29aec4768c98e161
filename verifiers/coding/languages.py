"""The languages that a program may be written in: how it is called in a fence, compiled and run.

Python runs in the sandbox's own zygote; everything else as a command of this machine in the same box, where its tools
are installed. C++ and JavaScript are tested; the others are recipes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache

from tracemill.verifiers.verdicts import Undecidable


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its commands. The first word of each is looked up on this machine, unless it opens with ./"""

    name: str
    tags: tuple[str, ...]
    """What fences call it."""
    file: str
    """Name of the program's file."""
    compiling: tuple[str, ...] = ()
    """Empty where nothing is compiled."""
    running: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    """Patterns of the files that compiling makes and running needs; the source is there anyway."""
    driver: str = ""
    """Ends the program where its functions are called; see `calls`."""
    probe: str = ""
    """A program that prints `ok`: tried once, so that a broken tool is never a program's fault."""


_JS_DRIVER = """
;(() => {
  const fs = require("fs");
  const plan = JSON.parse(fs.readFileSync("plan.json", "utf8"));
  const results = [];
  const shown = (value) => JSON.stringify(value, (key, held) => {
    if (typeof held === "number" && !Number.isFinite(held)) return { float: String(held) };
    if (typeof held === "bigint") return { int: (held < 0n ? "-0x" : "0x") + (held < 0n ? -held : held).toString(16) };
    if (held && typeof held === "object" && !Array.isArray(held)) return { dict: Object.entries(held) };
    return held === undefined ? null : held;
  });
  for (const args of plan.cases) {
    try {
      const target = plan.owner ? new (eval(plan.owner))() : null;
      const value = target ? target[plan.entry](...args) : eval(plan.entry)(...args);
      results.push('["ok",' + shown(value) + "," + shown(args) + "]");
    } catch (error) {
      const said = String(error && error.message).slice(0, 300);
      results.push(JSON.stringify(["raise", String(error && error.name), said]));
    }
    fs.writeFileSync("results.json", "[" + results.join(",") + "]");
  }
})();
"""
PYTHON = Language("python", ("python", "py", "python3", "py3", "python2", "pycon"), "main.py")
LANGUAGES = {
    language.name: language
    for language in (
        PYTHON,
        Language(
            "cpp", ("cpp", "c++", "cc", "cxx"), "main.cpp",
            ("g++", "-O2", "-std=c++20", "-pipe", "-o", "main", "main.cpp"), ("./main",), ("main",),
            probe='#include <iostream>\nint main() { std::cout << "ok"; }\n',
        ),
        Language(
            "javascript", ("javascript", "js", "node"), "main.js", (), ("node", "main.js"), (), _JS_DRIVER,
            probe='console.log("ok")',
        ),
        Language(
            "java", ("java",), "Main.java",
            ("javac", "-J-Xmx512m", "Main.java"), ("java", "-Xmx512m", "-XX:+UseSerialGC", "Main"), ("*.class",),
            probe='public class Main { public static void main(String[] a) { System.out.print("ok"); } }',
        ),
        Language(
            "go", ("go", "golang"), "main.go", ("go", "build", "-o", "main", "main.go"), ("./main",), ("main",),
            probe='package main\n\nimport "fmt"\n\nfunc main() { fmt.Print("ok") }\n',
        ),
        Language(
            "rust", ("rust", "rs"), "main.rs", ("rustc", "-O", "-o", "main", "main.rs"), ("./main",), ("main",),
            probe='fn main() { print!("ok"); }\n',
        ),
    )
}  # fmt: skip
_OTHER_NAMES = {"c++": "cpp", "js": "javascript", "python3": "python", "py": "python", "golang": "go", "rs": "rust"}


def language_named(name: str) -> Language:
    """Raises Undecidable: `bad_reference` for a language that nobody knows, `no_toolchain` for one not installed."""
    language = LANGUAGES.get(_OTHER_NAMES.get(name, name))
    if language is None:
        raise Undecidable(f"bad_reference: unknown language {name!r}"[:200])
    missing = missing_tool(language)
    if missing:
        raise Undecidable(f"no_toolchain: {missing} is not installed on this machine")
    return language


def missing_tool(language: Language) -> str:
    """The first command of the language that this machine lacks; "" where it has them all."""
    commands = [argv[0] for argv in (language.compiling, language.running) if argv]
    return next((name for name in commands if not name.startswith("./") and not _found(name)), "")


def command(argv: tuple[str, ...]) -> list[str]:
    """The command with its program's full path."""
    first = argv[0] if argv[0].startswith("./") else _found(argv[0])
    return [first, *argv[1:]]


@cache
def _found(name: str) -> str:
    return shutil.which(name) or ""
