"""Puts the commands together and turns errors into one line and an exit code. Each command has a module of its own."""

from __future__ import annotations

import signal
import sys

import typer

from tracemill.cli import (
    anatomy,
    audit,
    contamination,
    corpus,
    doctor,
    evaluate,
    importing,
    jobs,
    model,
    plugins,
    references,
    run,
    sandbox,
    serve,
    sift,
    train,
    verify,
)
from tracemill.core.errors import CorpusError, TracemillError

app = typer.Typer(
    name="tracemill",
    help="A factory for verified reasoning data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("import")(importing.import_)
app.add_typer(jobs.app, name="jobs")
app.command("pause")(jobs.pause)
app.command("resume")(jobs.resume)
app.command("cancel")(jobs.cancel)
app.command("harvest")(jobs.harvest)
app.command("sql")(corpus.sql)
app.command("show")(corpus.show)
app.command("export")(corpus.export)
app.command("verify")(verify.verify)
app.command("audit")(audit.audit)
app.command("anatomy")(anatomy.anatomy)
app.command("check-references")(references.check_references)
app.command("sift")(sift.sift)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("evaluations")(evaluate.evaluations)
app.command("contamination")(contamination.contamination)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(model.app, name="model")
app.command("plugins")(plugins.plugins)
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)


def _end(number: int, frame: object) -> None:
    """What is open is closed, and processes that were started end, as after Ctrl-C."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point. Exit codes stand in core.errors."""
    try:
        signal.signal(signal.SIGTERM, _end)
        code = app(standalone_mode=False)  # 130 where typer saw Ctrl-C
        sys.exit(code if isinstance(code, int) else 0)
    except TracemillError as error:
        print(f"tracemill: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except typer.TyperException as error:
        print(f"tracemill: {error.format_message()} (tracemill --help)", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        print(f"tracemill: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(CorpusError.exit_code)
