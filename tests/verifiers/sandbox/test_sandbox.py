"""What programs in the sandbox get, and what their runs come back as; in both tiers."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracemill.core.errors import InputError, SetupError
from tracemill.verifiers.sandbox import Closed, Ending, Limits, Sandbox


@pytest.fixture(scope="module", params=[1, 2])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = Sandbox(request.param, zygotes=2)
    try:
        made.run("pass")
    except SetupError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("source", "ending", "code", "stdout", "stderr"),
    [
        ("print('ä')", Ending.EXITED, 0, "ä\n", ""),
        ("import sys; sys.exit(3)", Ending.EXITED, 3, "", ""),
        ("import sys; sys.exit('gone')", Ending.EXITED, 1, "", "gone\n"),
        ("raise SystemExit(256 + 7)", Ending.EXITED, 7, "", ""),
        ("import os; os._exit(5)", Ending.EXITED, 5, "", ""),
        ("1/0", Ending.EXITED, 1, "", "ZeroDivisionError: division by zero\n"),
        ("def f(:", Ending.EXITED, 1, "", "SyntaxError: invalid syntax\n"),
        ("import atexit; atexit.register(print, 'end'); print('begin')", Ending.EXITED, 0, "begin\nend\n", ""),
        ("print(1); exit()", Ending.EXITED, 0, "1\n", ""),
        ("quit(4)", Ending.EXITED, 4, "", ""),
        ("out = open(1, 'w'); out.write('3')", Ending.EXITED, 0, "3", ""),
        ("import io, sys; print(3); sys.stdout = io.StringIO()", Ending.EXITED, 0, "3\n", ""),
        ("import sys; print(3); sys.stdout.close()", Ending.EXITED, 0, "3\n", ""),
        ("import os, sys; print(3); os.close(1)", Ending.EXITED, 120, "", ""),
        ("class A:\n    def __del__(self): print('gone')\na = A()\na.itself = a", Ending.EXITED, 0, "gone\n", ""),
        (
            "import threading, time\nn = 1\ndef f():\n    while True: time.sleep(1e-4 * n)\n"
            "threading.Thread(target=f, daemon=True).start()\nprint(2)",
            Ending.EXITED,
            0,
            "2\n",
            "",
        ),
        ("import os; os.abort()", Ending.SIGNALLED, 6, "", ""),
        ("import os; os.kill(os.getpid(), 15)", Ending.SIGNALLED, 15, "", ""),
        ("x = [0] * 10**10", Ending.MEMORY, 1, "", "MemoryError\n"),
        ("while True: pass", Ending.CPU, 9, "", ""),
        ("import time; time.sleep(60)", Ending.WALL, 9, "", ""),
        ("print(__name__, __file__.endswith('/work/main.py'))", Ending.EXITED, 0, "__main__ True\n", ""),
        ("import os; print(os.environ, os.listdir('.'))", Ending.EXITED, 0, "environ({}) ['main.py']\n", ""),
    ],
)
def test_a_run_ends_as_under_python(
    sandbox: Sandbox, source: str, ending: Ending, code: int, stdout: str, stderr: str
) -> None:
    run = sandbox.run(source, limits=Limits(cpu_s=0.5, wall_s=2.0))
    assert (run.ending, run.code, run.stdout.decode()) == (ending, code, stdout)
    assert run.stderr.decode().endswith(stderr)
    assert bool(run.stderr) == bool(stderr)
    assert run.tier == sandbox.tier


def test_a_traceback_shows_the_program_alone(sandbox: Sandbox) -> None:
    run = sandbox.run("def f():\n    return {}['missing']\n\nf()\n")
    lines = run.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if "File" not in line][1:] == [
        "f()",
        "return {}['missing']",
        "~~^^^^^^^^^^^",
        "KeyError: 'missing'",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import sys; print(sys.stdin.read(), end='')",
        "import sys; sys.stdout.writelines(sys.stdin)",
        "print(input()); print(input())",
        "print(open(0).read(), end='')",
        "print(open('/dev/stdin').read(), end='')",
        "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())",
        "import os; print(os.read(0, 100).decode(), end='')",
    ],
)
def test_every_way_to_read_input_works(sandbox: Sandbox, source: str) -> None:
    assert sandbox.run(source, b"one\ntwo\n").stdout == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    return 7\nprint(asyncio.run(f()))", "7"),
        ("from concurrent.futures import ThreadPoolExecutor as P\nprint(sum(P(8).map(abs, range(-9, 1))))", "45"),
        (
            "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\ndef f(n): return n and 1 + f(n - 1)\nt = threading.Thread(target=lambda: print(f(50_000)))\nt.start()\nt.join()",
            "50000",
        ),
        (
            "import tempfile, shutil\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/a', 'w').write('x')\n    shutil.copy2(d + '/a', d + '/b')\n    print(open(d + '/b').read())",
            "x",
        ),
        ("import sqlite3\nprint(sqlite3.connect('x.db').execute('select 6 * 7').fetchone()[0])", "42"),
        (
            "from decimal import Decimal\nimport fractions, statistics, datetime, hashlib, csv, bz2\nprint(Decimal(1) / 8)",
            "0.125",
        ),
        ("import helper\nprint(helper.value)", "11"),
        ("import builtins\nprint(__builtins__ is builtins)", "True"),
        (
            "import functools, resource, sys\nsys.setrecursionlimit(10**6)\n"
            "resource.setrlimit(resource.RLIMIT_STACK, (128 << 20, -1))\n"
            "@functools.lru_cache(None)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(100_000))",
            "100000",
        ),
        (
            "import sqlite3\na, b = sqlite3.connect('x.db'), sqlite3.connect('x.db')\n"
            "a.execute('pragma journal_mode=wal')\na.execute('create table t (x)')\n"
            "b.execute('insert into t values (2)')\nb.commit()\nprint(a.execute('select x from t').fetchall())",
            "[(2,)]",
        ),
        ("import fcntl\nf = open('x', 'w')\nfcntl.flock(f, 2)\nfcntl.lockf(f, 2)\nprint('locked')", "locked"),
        ("import sys\nprint(sys.argv[1:])", "['a', 'b']"),
        ("print(hash('a') == hash('a'), {'a', 'b', 'c', 'd'})", None),
    ],
)
def test_ordinary_programs_are_not_hindered(sandbox: Sandbox, source: str, printed: str | None) -> None:
    runs = [sandbox.run(source, argv=["a", "b"], files={"helper.py": b"value = 11"}) for _ in range(2)]
    assert [run.stderr for run in runs] == [b"", b""]
    assert runs[0].stdout == runs[1].stdout  # hashes too: a verdict does not depend on the zygote
    assert printed is None or runs[0].stdout.decode() == printed + "\n"


def test_output_is_kept_up_to_its_limit(sandbox: Sandbox) -> None:
    run = sandbox.run("print('x' * 3000)", limits=Limits(output_kb=2))
    assert (run.ending, run.stdout) == (Ending.OUTPUT, b"x" * 2048)
    assert sandbox.run("print('x' * 2047)", limits=Limits(output_kb=2)).ending is Ending.EXITED


def test_memory_is_counted_beyond_the_interpreter(sandbox: Sandbox) -> None:
    fits = sandbox.run("x = bytearray(48 << 20); x[::4096] = x[::4096]", limits=Limits(memory_mb=64))
    assert fits.ending is Ending.EXITED
    assert 40 < fits.memory_mb < 100
    assert sandbox.run("x = bytearray(80 << 20)", limits=Limits(memory_mb=64)).ending is Ending.MEMORY


def test_compiled_programs(sandbox: Sandbox) -> None:
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("no g++")
    source = b"#include <iostream>\nint main() { long n; std::cin >> n; std::cout << n * n; }"
    compiling = Limits(cpu_s=30, wall_s=120, memory_mb=2048, file_mb=64, processes=8)
    run, files = sandbox.execute(
        [compiler, "-o", "square", "square.cpp"], {"square.cpp": source}, limits=compiling, keep=["sq*e"]
    )
    assert (run.ending, run.stderr, set(files)) == (Ending.EXITED, b"", {"square"})
    run, _ = sandbox.execute(["./square"], files, stdin=b"12")
    assert (run.ending, run.stdout) == (Ending.EXITED, b"144")
    greedy = (
        b"#include <vector>\nint main() { std::vector<std::vector<char>> v; for (;;) v.emplace_back(1 << 20, 'x'); }"
    )
    _, files = sandbox.execute([compiler, "-o", "a", "a.cpp"], {"a.cpp": greedy}, limits=compiling, keep=["a"])
    assert sandbox.execute(["./a"], files, limits=Limits(memory_mb=64))[0].ending is Ending.MEMORY


def test_kept_files_are_the_programs_own(sandbox: Sandbox) -> None:
    script = b"ln -s /etc/passwd a.link; echo x > a.file; mkdir a.folder; echo y > b"
    run, files = sandbox.execute(["/bin/sh", "s"], {"s": script}, limits=Limits(processes=4), keep=["a.*"])
    assert (run.ending, files) == (Ending.EXITED, {"a.file": b"x\n"})
    run, files = sandbox.execute(["/bin/sh", "s"], {"s": script}, limits=Limits(processes=4), keep=["*.link"])
    assert not files


def test_a_program_that_is_not_there_is_no_fault_of_programs(sandbox: Sandbox) -> None:
    run, _ = sandbox.execute(["/usr/bin/no-such-program"], {})
    assert run.ending is Ending.BROKEN
    assert b"cannot start /usr/bin/no-such-program: No such file" in run.stderr


def test_conversation(sandbox: Sandbox) -> None:
    source = "import sandbox_channel as channel\nwhile True:\n    channel.reply(channel.receive()[::-1])"
    with sandbox.converse(source) as talk, sandbox.converse(source) as second:
        assert talk.call(b"abc", 10.0) == b"cba"
        assert second.call(b"x" * 1_000_000, 10.0) == b"x" * 1_000_000
        assert talk.call(b"", 10.0) == b""
        assert (talk.run().ending, talk.run().code) == (Ending.EXITED, 0)
        with pytest.raises(Closed):
            talk.call(b"more", 1.0)


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ("while True: pass", Ending.CPU),
        ("import time; time.sleep(100)", Ending.WALL),
        ("raise ValueError", Ending.EXITED),
        ("import os; os.abort()", Ending.SIGNALLED),
        ("channel.reply(b'x' * 2000)", Ending.OUTPUT),
        ("import os; os.write(3, b'\\xff' * 100)", Ending.OUTPUT),
        ("import os; os.close(3)", Ending.EXITED),
        ("x = bytearray(1 << 40)", Ending.MEMORY),
    ],
)
def test_a_conversation_that_fails_says_why(sandbox: Sandbox, answer: str, ending: Ending) -> None:
    source = f"import sandbox_channel as channel\nchannel.receive()\n{answer}\nchannel.receive()"
    with sandbox.converse(source, Limits(cpu_s=0.5, wall_s=20, output_kb=1)) as talk:
        with pytest.raises(Closed):
            talk.call(b"go", 2.0)
        assert talk.run().ending is ending


def test_many_callers_at_once(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda n: sandbox.run("print(int(input()) ** 2)", b"%d" % n).stdout, range(128)))
    assert answers == [b"%d\n" % n**2 for n in range(128)]


def test_preloaded_modules() -> None:
    sandbox = Sandbox(zygotes=1, preload=["numpy"])
    assert sandbox.run("import numpy; print(numpy.arange(5).sum())").stdout == b"10\n"
    sandbox.close()
    missing = Sandbox(zygotes=1, preload=["no_such_module"])
    with pytest.raises(SetupError, match="no_such_module"):
        missing.run("pass")


def test_readable_folders(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tools")
    (folder / "table").write_text("42")
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    source = f"print(open({str(folder / 'table')!r}).read())\nopen({str(folder / 'table')!r}, 'w')"
    opened = Sandbox(sandbox.tier, zygotes=1, readable=[str(folder)])
    run = opened.run(source)
    opened.close()
    assert (run.stdout, run.code, (folder / "table").read_text()) == (b"42\n", 1, "42")
    assert sandbox.run(source).stdout == b""


def test_users_mistakes_are_named(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match=r"plain name.*'\.\./x'"):
        sandbox.run("pass", files={"../x": b""})
    with pytest.raises(InputError, match="at most 255 bytes"):
        sandbox.run("pass", files={"ä" * 128: b""})
    with pytest.raises(InputError, match="lone surrogates"):
        sandbox.run("pass", files={"\ud800": b""})
    with pytest.raises(InputError, match="argv must have at most"):
        sandbox.run("pass", argv=["x" * (128 << 10)])
    with pytest.raises(InputError, match="absolute path"):
        sandbox.execute(["ls"], {})
    with pytest.raises(InputError, match="cpu_s must be above 0"):
        Limits(cpu_s=0)
    with pytest.raises(InputError, match="tier must be 1, 2 or 3"):
        Sandbox(4)


def test_it_pickles_by_its_options() -> None:
    copy = pickle.loads(pickle.dumps(Sandbox(2, zygotes=1)))
    assert copy.run("print(1)").stdout == b"1\n"
    copy.close()
