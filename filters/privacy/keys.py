"""Keys and tokens that name themselves: a prefix that their issuer chose, and a shape.

Prefixes and shapes are those of gitleaks (config/gitleaks.toml) and detect-secrets. No data are keys that documentation
shows: those that say so (EXAMPLE, your…), hold `1234567890` or `abcdef…`, or whose characters repeat (entropy under 3
bits, gitleaks' own limit). Passwords and keys without a shape of their own are not seen.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tracemill.filters.privacy.datum import Datum, folded
from tracemill.filters.privacy.reserved import is_example_key


@dataclass(frozen=True, slots=True)
class Rule:
    """What keys of one issuer look like."""

    name: str
    literals: tuple[str, ...]
    """One of them stands in every such key, or just before it."""
    shape: re.Pattern[str]
    """Its group `key` is the key where it is not the whole match."""


def _rule(name: str, literals: str, shape: str) -> Rule:
    return Rule(name, tuple(literals.split()), re.compile(rf"(?<![A-Za-z0-9_-])(?:{shape})(?![A-Za-z0-9_])", re.ASCII))


RULES = (
    _rule("AWS key", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    Rule(
        "AWS secret key",
        ("ecret_access_key", "ecretAccessKey", "ECRET_ACCESS_KEY"),
        re.compile(
            r"(?i:secret_?access_?key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<key>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
        ),
    ),
    _rule("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _rule("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{82}"),
    _rule("GitLab token", "glpat-", r"glpat-[A-Za-z0-9_-]{20,300}"),
    _rule("model API key", "sk-", r"sk-(?=[A-Za-z0-9_-]*[A-Za-z0-9]{20})(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{32,200}"),
    _rule("Stripe key", "k_live_ k_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}"),
    _rule("Slack token", "xox", r"xox[abeoprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{20,250}"),
    _rule("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,12}/B\w{6,12}/\w{20,30}"),
    _rule("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _rule("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{34,40}"),
    _rule("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _rule("JSON Web Token", "eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    Rule(
        "private key",
        ("-----BEGIN",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|\s){0,8}"
            r"(?:[A-Za-z-]{1,20}: [^\n]{0,99}\s{1,4}){0,4}"
            r"[A-Za-z0-9+/]{40,}={0,2}(?:(?:\\[nr]|\s){1,8}[A-Za-z0-9+/]{20,}={0,2}){0,400}"
            r"(?:(?:(?:\\[nr]|\s){1,8}[A-Za-z0-9+/=]{1,40}){0,2}(?:\\[nr]|\s){0,8}"
            r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
    ),
)
_LEAST_ENTROPY = 3.0
"""Bits a character."""


def keys(text: str, rules: Collection[Rule] = RULES) -> Iterator[Datum]:
    """Secrets that one of these rules describes."""
    for rule in rules:
        for found in rule.shape.finditer(text):
            group = "key" if "key" in rule.shape.groupindex else 0
            key = found[group]
            if not is_example_key(key) and _entropy(key) >= _LEAST_ENTROPY:
                shown = rule.name if group or rule.name == "private key" else f"{rule.name} {key[:4]}…"
                yield Datum("key", found.start(group), found.end(group), folded(key), shown)


def _entropy(key: str) -> float:
    return -sum(count / len(key) * math.log2(count / len(key)) for count in Counter(key).values())
