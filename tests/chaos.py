"""Kills whatever can be killed, at random instants, while a job runs on a cluster of three nodes; counts what is lost.

    python tests/chaos.py --kills 100 --seed 1

Kinds: the driver (`tracemill run`), also by SIGTERM, an engine's actor, a verifier's worker process, a node's raylet, a
whole node with all its processes; all others by SIGKILL. A driver is started again with the same command, a node is
replaced. At the end the job's traces, verdicts and data set are compared with those of the same job that nobody
disturbed. The fake engine answers the same request with the same text, so everything must be equal. It also keeps a
list of what it answered: what was durable when a driver started must not be on it after that. Rounds take turns: fixed,
adaptive, and more replicas than there is room for. Ends with one line of JSON and fails where something is not right.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tracemill.core.settings import settings
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import DatasetVersion, find, select
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.local import local_pool
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.job_sifting import sift
from tracemill.pipelines.plan import Plan, make_plan

NODES = 3
KINDS = ("driver", "sigterm", "actor", "worker", "raylet", "node")
WRONG = ("lost", "duplicated", "repeated", "different")
SLACK_S = 3.0
"""After a driver's start: an engine's actor outlives the driver before, and ends what that one had asked for."""
FAILURES = 5
"""Drivers in a row that may fail without having made anything durable."""
RECIPE = """
name: chaos-{number}
prompts: [{{source: jsonl, path: {prompts}}}]
generate:
  engine: fake
  samples: 8
  concurrency: 8
  replicas: {replicas}
  strategy: {strategy}
  engine_options: {{seconds: {seconds}, label: "{number}", log: {log}}}
filters: [exact_duplicates]
select: {{per_prompt: 2, order: random, seed: 3}}
"""
ROUNDS = (("fixed", NODES, 0.2), ("{adaptive: {correct: 2}}", NODES, 0.5), ("fixed", 3 * NODES, 0.2))
"""Strategy, replicas and seconds a sample of the first round, the second and the third, and again."""


def repeats(starts: Iterable[tuple[float, set[str]]], answered: Sequence[tuple[str, float]]) -> set[str]:
    """Ids that a driver had asked although they were durable when it started."""
    return {one for start, durable in starts for one, at in answered if one in durable and at > start + SLACK_S}


@dataclass
class Site:
    """A Ray cluster whose nodes can be killed."""

    cluster: Any
    nodes: list[Any] = field(default_factory=list)

    @classmethod
    def build(cls) -> Site:
        from ray.cluster_utils import Cluster

        site = cls(Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}))
        for _ in range(NODES):
            site.add()
        return site

    def add(self) -> None:
        for is_last in (False, False, True):
            try:
                self.nodes.append(self.cluster.add_node(num_cpus=1, wait=False))
                return
            except Exception:  # ray gives a node 30 s to start, which a loaded machine may exceed
                if is_last:
                    raise

    def kill(self, dice: random.Random, whole: bool) -> None:
        """Kill a node's raylet, or all its processes at once, and put another node in its place."""
        node = self.nodes.pop(dice.randrange(len(self.nodes)))
        for kind, infos in list(node.all_processes.items()):
            for info in infos:
                if whole or kind == "raylet":
                    with suppress(psutil.NoSuchProcess):
                        family = psutil.Process(info.process.pid).children(recursive=True) if whole else []
                        for one in family:
                            with suppress(psutil.NoSuchProcess):
                                one.kill()
                        psutil.Process(info.process.pid).kill()
        with suppress(Exception):  # it is dead already
            self.cluster.remove_node(node, allow_graceful=False)
        self.add()

    def actors(self) -> list[psutil.Process]:
        """Engines of this cluster: another one on this machine is not ours to kill."""
        found = list[psutil.Process]()
        for node in self.nodes:
            for info in node.all_processes.get("raylet", ()):
                with suppress(psutil.NoSuchProcess):
                    workers = psutil.Process(info.process.pid).children(recursive=True)
                    found += [one for one in workers if one.name().startswith("ray::EngineActo")]
        return found

    def close(self) -> None:
        self.cluster.shutdown()


@dataclass
class Round:
    """One job, run until it ends however often it is killed."""

    folder: Path
    plan: Plan
    recipe: Path
    env: dict[str, str]
    seen: set[str] = field(default_factory=set)
    """Ids that were durable at the instant of some kill or start."""
    starts: list[tuple[float, set[str]]] = field(default_factory=list)
    """When each driver was started, and what was durable then."""
    driver: subprocess.Popen[bytes] | None = None
    was_killed: bool = False
    """The driver itself was: that it ends is no failure."""
    failures: int = 0

    def start(self) -> None:
        self.look()
        self.was_killed = False
        self.starts.append((time.time(), set(self.seen)))
        log = (self.folder / "log.txt").open("ab")
        command = [str(Path(sys.executable).parent / "tracemill"), "run", str(self.recipe)]
        self.driver = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
        log.close()

    def goes_on(self) -> bool:
        """Whether the job is not finished; a driver that failed is started again, as a person would, a few times."""
        assert self.driver is not None
        code = self.driver.poll()
        if code is not None and code != 0:
            self.look()
            self.failures = 0 if len(self.seen) > len(self.starts[-1][1]) else self.failures + (not self.was_killed)
            if self.failures >= FAILURES:
                log = (self.folder / "log.txt").read_text(errors="replace")
                sys.exit(f"{log[-3000:]}\nchaos: {FAILURES} drivers failed in a row and made nothing; see above")
            self.start()
        return code != 0

    def stop(self) -> None:
        """No driver outlives this script, however it ends."""
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()

    def answered(self) -> list[tuple[str, float]]:
        """Ids in the order in which the engines answered them, with the time."""
        lines = (self.folder / "answered.txt").read_text().splitlines()
        return [(one, float(at)) for one, at in map(str.split, lines)]

    def look(self) -> None:
        """Remember what is durable now: first the log, from which samples go to the tables."""
        for segment in (self.folder / "corpus").glob("ledger/*/*.jsonl"):
            with suppress(FileNotFoundError):
                whole = segment.read_text(errors="replace").rpartition("\n")[0]
                self.seen.update(re.findall(r'"trace":\{"id":"([0-9a-f]{32})"', whole))
        self.seen.update(row["id"] for row in Corpus.open(self.folder / "corpus").rows("SELECT id FROM traces", {}))

    def kill(self, kind: str, site: Site, dice: random.Random) -> bool:
        """Whether there was one of that kind."""
        assert self.driver is not None
        if kind in ("raylet", "node"):
            site.kill(dice, whole=kind == "node")
            return True
        with suppress(psutil.NoSuchProcess):
            driver = psutil.Process(self.driver.pid)
            if kind in ("driver", "sigterm"):
                self.was_killed = True
                driver.send_signal(signal.SIGKILL if kind == "driver" else signal.SIGTERM)
                return True
            found = driver.children(recursive=True) if kind == "worker" else site.actors()
            if found:
                dice.choice(found).kill()
                return True
        return False


async def undisturbed(plan: Plan, corpus: Corpus) -> DatasetVersion:
    """The same job in this process, without a pause."""
    corpus.add_prompts(plan.tasks.prompts())
    with Ledger.open(corpus, plan.job_id) as ledger:
        async with local_pool(FakeEngine(), 64) as pool:
            await Generation(plan, ledger).run([Maker(pool, pool, "fake")])
    sift(plan.job_id, plan.policy, corpus, settings())
    return select(corpus, plan.job_id, plan.policy.id, plan.recipe.name, plan.recipe.select.selection())


def contents(corpus: Corpus, name: str) -> dict[str, Any]:
    """All of a job that must be the same, without times."""
    version = find(corpus, name)
    traces = "SELECT id, prompt_id, sample, reasoning, answer, faults, completion_tokens FROM traces"
    verdicts = "SELECT trace_id, verifier, version, outcome, reason, extracted FROM verdicts"
    chosen = f"SELECT trace_id, position FROM datasets WHERE name = '{name}' AND version = {version.version}"
    return {what: sorted(json.dumps(row) for row in corpus.rows(sql, {}))
            for what, sql in (("traces", traces), ("verdicts", verdicts), ("data set", chosen))}  # fmt: skip


def play(number: int, kills: int, prompts: int, site: Site, dice: random.Random, folder: Path) -> Counter[str]:
    """One job with up to so many kills. Returns the kills by kind, and what was lost, doubled or different."""
    sums = [(f"What is {k} + {k + number}?", 2 * k + number) for k in range(prompts)]
    # Every third one is judged in a worker process; plain integers are not.
    golds = [f"\\lfloor {value}.5 \\rfloor" if at % 3 == 0 else str(value) for at, (_, value) in enumerate(sums)]
    rows = [{"prompt": text, "answer": gold} for (text, _), gold in zip(sums, golds, strict=True)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = folder / "recipe.yaml"
    strategy, replicas, seconds = ROUNDS[(number - 1) % len(ROUNDS)]
    given = {"number": number, "strategy": strategy, "replicas": replicas, "seconds": seconds}
    recipe.write_text(RECIPE.format(prompts=folder / "prompts.jsonl", log=folder / "answered.txt", **given))
    plan = make_plan(recipes.load(str(recipe)))
    env = os.environ | {
        "TRACEMILL_RAY_ADDRESS": site.cluster.address, "TRACEMILL_CORPUS": str(folder / "corpus"),
        "TRACEMILL_JOBS_URL": f"sqlite:///{folder}/jobs.db", "TRACEMILL_ENGINE_IDLE_S": "5",
    }  # fmt: skip
    done: Counter[str] = Counter()
    here = Round(folder, plan, recipe, env)
    here.start()
    try:
        while here.goes_on():
            time.sleep(dice.uniform(0.2, 10.0))
            if done.total() < kills and (kind := dice.choice(KINDS)) and here.goes_on() and here.kill(kind, site, dice):
                done[kind] += 1
                here.look()
    finally:
        here.stop()
    wrong = compared(here)
    print(f"round {number}, {strategy}, {replicas} replicas, {len(here.starts)} drivers: {dict(done)}", flush=True)
    return done + wrong


def compared(here: Round) -> Counter[str]:
    """What a round lost, doubled, repeated or made differently."""
    plan, done = here.plan, Counter[str]()
    mine, other = Corpus.open(here.folder / "corpus"), Corpus.open(here.folder / "undisturbed")
    asyncio.run(undisturbed(plan, other))
    found, expected = contents(mine, plan.recipe.name), contents(other, plan.recipe.name)
    ids = Counter(json.loads(row)["id"] for row in found["traces"])
    verdicts = Counter((json.loads(row)["trace_id"], json.loads(row)["verifier"]) for row in found["verdicts"])
    answered = here.answered()
    assert ids.keys() <= {one for one, _ in answered}, "the list of what was answered is not whole"
    wanted = {json.loads(row)["id"] for row in expected["traces"]}
    done["lost"] = len((here.seen | wanted) - ids.keys())
    done["duplicated"] = (ids.total() - len(ids)) + (verdicts.total() - len(verdicts))
    done["repeated"] = len(repeats(here.starts, answered))
    done["different"] = sum(found[what] != expected[what] for what in expected)
    print(
        f"{len(wanted)} samples, {len(here.seen)} seen durable at kills, {len(here.starts[-1][1])} at the last start, "
        f"{len(answered) - len(ids)} answered anew; {dict(done)}"
    )
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=400, help="of each round, 8 samples each")
    given = parser.parse_args()
    dice, total, number = random.Random(given.seed), Counter[str](), 0
    site = Site.build()
    try:
        while (left := given.kills - sum(total[kind] for kind in KINDS)) > 0:
            number += 1
            with tempfile.TemporaryDirectory() as folder:
                total += play(number, left, given.prompts, site, dice, Path(folder))
    finally:
        site.close()
    figures = {what: total[what] for what in WRONG}
    print(json.dumps({"kills": {kind: total[kind] for kind in KINDS}, "rounds": number, **figures}))
    sys.exit(any(figures.values()))


if __name__ == "__main__":
    main()
