"""Kills whatever can be killed, at random instants, while a job runs on a cluster of three nodes; counts what is lost.

    python tests/chaos.py --kills 100 --seed 1

Kinds: the driver (`tracemill run`), an engine's actor, a verifier's worker process, a node's raylet, a whole node with
all its processes. All by SIGKILL. A driver is started again with the same command, a node is replaced. At the end the
job's traces, verdicts and data set are compared with those of the same job that nobody disturbed. The fake engine
answers the same request with the same text, so everything must be equal. Ends with one line of JSON and fails where
something is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import DatasetVersion, find, select
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.local import local_pool
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.sifting import sift

NODES = 3
KINDS = ("driver", "actor", "worker", "raylet", "node")
RECIPE = """
name: chaos-{number}
prompts: [{{source: jsonl, path: {prompts}}}]
generate:
  {{engine: fake, replicas: {nodes}, samples: 8, concurrency: 8, engine_options: {{seconds: 0.2, label: "{number}"}}}}
filters: [exact_duplicates]
select: {{per_prompt: 2, order: random, seed: 3}}
"""


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
    """Ids that were durable at the instant of some kill."""
    driver: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "log.txt").open("ab")
        command = [str(Path(sys.executable).parent / "tracemill"), "run", str(self.recipe)]
        self.driver = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
        log.close()

    def goes_on(self) -> bool:
        """Whether the job is not finished; a driver that failed is started again, as a person would."""
        assert self.driver is not None
        code = self.driver.poll()
        if code is not None and code != 0:
            self.start()
        return code != 0

    def look(self) -> None:
        """Remember what is durable now."""
        for segment in (self.folder / "corpus").glob("ledger/*/*.jsonl"):
            with suppress(FileNotFoundError):
                whole = segment.read_text(errors="replace").rpartition("\n")[0]
                self.seen.update(re.findall(r'"trace":\{"id":"([0-9a-f]{32})"', whole))

    def kill(self, kind: str, site: Site, dice: random.Random) -> bool:
        """Whether there was one of that kind."""
        assert self.driver is not None
        if kind in ("raylet", "node"):
            site.kill(dice, whole=kind == "node")
            return True
        with suppress(psutil.NoSuchProcess):
            driver = psutil.Process(self.driver.pid)
            if kind == "driver":
                found = [driver]
            elif kind == "worker":
                found = driver.children(recursive=True)
            else:
                found = [one for one in psutil.process_iter() if one.name().startswith("ray::EngineActo")]
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
    sift(plan, corpus)
    return select(corpus, plan.job_id, plan.policy, plan.recipe.name, plan.recipe.select.selection())


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
    rows = [{"prompt": f"What is {k} + {k + number}?", "answer": str(2 * k + number)} for k in range(prompts)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(number=number, prompts=folder / "prompts.jsonl", nodes=NODES))
    plan = make_plan(recipes.load(str(recipe)))
    env = os.environ | {
        "TRACEMILL_RAY_ADDRESS": site.cluster.address, "TRACEMILL_CORPUS": str(folder / "corpus"),
        "TRACEMILL_JOBS_URL": f"sqlite:///{folder}/jobs.db", "TRACEMILL_ENGINE_IDLE_S": "5",
    }  # fmt: skip
    done: Counter[str] = Counter()
    here = Round(folder, plan, recipe, env)
    here.start()
    while here.goes_on():
        time.sleep(dice.uniform(0.2, 10.0))
        if done.total() < kills and (kind := dice.choice(KINDS)) and here.goes_on() and here.kill(kind, site, dice):
            done[kind] += 1
            here.look()
    mine, other = Corpus.open(folder / "corpus"), Corpus.open(folder / "undisturbed")
    asyncio.run(undisturbed(plan, other))
    found, expected = contents(mine, plan.recipe.name), contents(other, plan.recipe.name)
    ids = Counter(json.loads(row)["id"] for row in found["traces"])
    verdicts = Counter((json.loads(row)["trace_id"], json.loads(row)["verifier"]) for row in found["verdicts"])
    done["lost"] = len(here.seen - ids.keys()) + plan.samples - len(ids)
    done["duplicated"] = (ids.total() - len(ids)) + (verdicts.total() - len(verdicts))
    done["different"] = sum(found[what] != expected[what] for what in expected)
    print(f"round {number}: {plan.samples} samples, {len(here.seen)} seen durable at kills; {dict(done)}", flush=True)
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
    figures = {what: total[what] for what in ("lost", "duplicated", "different")}
    print(json.dumps({"kills": {kind: total[kind] for kind in KINDS}, "rounds": number, **figures}))
    sys.exit(any(figures.values()))


if __name__ == "__main__":
    main()
