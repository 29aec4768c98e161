"""Drops traces that refuse to answer, and traces with leftovers of a chat.

Looked at are the first and the last `EDGE` characters of the reasoning and of the answer, where refusals stand. "I
can't help with that", "I'm unable to provide a solution", "As an AI, I cannot …" are some; "I can't use the formula",
"we cannot assume", "it cannot be determined" are mathematics; and what stands in quotation marks or in the prompt was
said by somebody else. Leftovers are placeholders ("[Your Name]"), "As an AI language model", "my knowledge cutoff" and
system prompts said again; courtesies are "I hope this helps", "Let me know if …", "Certainly! Here is …". In English,
Chinese, Japanese, Russian, German, French and Spanish.

Of the 627 traces in `traces/long_reasoning` and the 2,708 correct solutions in `labelled/math_l5_outputs` the defaults
drop none. Of all 8,652 solutions there they drop 9: eight say that they cannot provide a numerical answer, one hands in
"[Your reasoning here]"; of 65,500 completions in `labelled/reasoning_gym_completions` they drop 4, all refusals.
Courtesies pass by default: 2 of the traces and 20 of the solutions end in one ("Let me know if …"), 1 of them correct,
and nothing else is wrong with those that were read. 700 MB/s a core on those chains, 190 on traces of 5 KB.
Does not ask whether a refusal was right, and sees none in the middle of a chain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

EDGE = 300
"""Characters at either end of a text that are looked at."""

_UNABLE = (
    r"\bi (?:can't|can ?not|won't|will not|refuse to|must decline to|am (?:unable|not able|not allowed) to)"
    r"(?: \w+ly| in good conscience)? "
)
_OBJECT = (
    r"(?:(?:you|an?|the|any|that|this|such|more|further|specific|detailed|complete|correct|final|numerical|medical|legal"
    r"|financial|fully|with) )*"
    r"(?:answers?|solutions?|responses?|information|instructions?|guidance|advice|assistance|help|support|details"
    r"|content|recommendations?|opinions?|requests?|material)\b"
)
_TELL = r"(?:provide|give|offer|share|generate|create|produce|write|discuss|fulfill?|process|comply with|continue with)"
_REFUSALS = (
    (("can't", "cannot", "can not", "won't", "will not", "unable", "not able", "not allowed", "refuse", "decline"), (
        rf"{_UNABLE}(?:help|assist)(?: you)?(?: with\b| in\b|[.,!]|$)",
        rf"{_UNABLE}{_TELL} {_OBJECT}",
        rf"{_UNABLE}answer (?:that|this|your)(?: question| request)?(?:[.,;!]|$)",
        rf"{_UNABLE}engage (?:in|with) (?:that|this|such)\b",
        r"\bi am sorry,? but i (?:can't|can ?not|am (?:unable|not able) to)\b(?! (?:find|see|think|figure|understand))",
        r"\bas an ai\b[^.\n]{0,40}, i (?:am (?:unable|not able)|can't|can ?not)\b",
        r"\bi (?:must|should|have to|need to|will|would have to) (?:\w+ly )?(?:refuse|decline)"
        r" (?:to (?:help|assist|answer|comply|provide|engage)|(?:this|that|the|your) request)\b",
    )),
    (("guidelines", "polic"), (r"\b(?:against|violat\w+) (?:my|our|openai's|the content) (?:guidelines|polic\w+)\b",)),
    (("无法", "不能", "無法"), (
        r"(?:抱歉|对不起|對不起)[,\uff0c]?(?:但是?)?我(?:不能|无法|無法)",
        r"我(?:不能|无法|無法)(?:[为為][您你])?(?:提供|协助|協助|帮助[您你]|满足[您你]|回答[您你这该])",
    )),
    (("ません", "かねます"), (
        r"(?:手伝い|お答え|提供|回答|対応)[はがをすること]{0,5}(?:でき|いたし|し)(?:ません|かねます)",
    )),
    (("не могу",), (
        r"\bя не могу (?:вам |с этим )*(?:помочь|предоставить|(?:ответить на|выполнить) (?:этот|ваш))",
    )),
    (("ich kann",), (
        r"\bich kann (?:ihnen|dir|dabei|damit|diese\w*)(?: \w+){0,4} nicht (?:weiter)?(?:helfen|beantworten)\b",
    )),
    (("je ne ",), (
        r"\bje ne (?:peux|suis) pas (?:en mesure de )?(?:vous |t')?(?:aider|assister|répondre à (?:cette|votre))",
    )),
    (("no puedo",), (r"\blo siento,? pero no puedo\b", r"\bno puedo (?:ayudar|responder a (?:esa|esta|tu|su)\b)")),
)  # fmt: skip
"""Rules: literals of which one is there wherever one of the patterns matches, all in lower case."""
_LEFTOVERS = (
    (("as an a", "as a large"), (
        r"\bas an ai (?:language model|assistant|model|chatbot)\b", r"\bas a large language model\b"
    )),
    (("[your", "[insert", "[company"), (r"\[(?:your|insert|company)(?: [\w']+){1,4}\]",)),
    (("as of my", "cutoff", "cut-off"), (
        r"\bas of my (?:last|latest|most recent|knowledge)\b", r"\bmy (?:knowledge|training)(?: data)? cut-?off\b"
    )),
    (("you are a",), (r"\byou are (?:an? )?(?:helpful|honest|harmless|ai)\b[^.\n]{0,40}\bassistant\b",)),
    (("作为", "として"), (
        r"作为一?[个名]?(?:大型)?(?:ai|人工智能|语言模型)", r"ai(?:言語モデル|アシスタント)として"
    )),
    (("модель", "интеллект"), (r"\bкак (?:языковая модель|искусственный интеллект)\b",)),
    (("sprachmodell", "modèle de", "modelo de"), (
        r"\bals (?:ki-|großes )?sprachmodell\b", r"\ben tant que modèle de langage\b", r"\bcomo modelo de lenguaje\b"
    )),
)  # fmt: skip
_COURTESIES = (
    (("let me know",), (r"\blet me know (?:if|whether|how|should)\b",)),
    (("hope ", "happy to help"), (r"\bhope (?:this|that|it) (?:helps|clarifies|answers)\b", r"\bhappy to help\b")),
    (("feel free", "hesitate"), (r"\bfeel free to (?:ask|reach|contact|let me)\b", r"\b(?:don't|not) hesitate to\b")),
    (("questions",), (r"\b(?:any|have) (?:other|more|further) questions\b",)),
    (("certainly!", "sure!", "of course!", "absolutely!", "great question!"), (
        r"^\W*(?:certainly|sure|of course|absolutely|great question)!",
    )),
    (("希望", "如果"), (
        r"希望[这對对][^。\n]{0,12}(?:帮助|幫助)",
        r"如果?[您你]还?有(?:任何|其他|更多)[^。\n]{0,6}(?:问题|疑问)",
    )),
    (("役に立", "ご質問"), (r"お役に立て", r"ご質問があ")),
    (("надеюсь", "вопрос"), (
        r"\bнадеюсь, это [^.\n]{0,20}помо", r"\bесли у вас (?:есть|остались|возникнут)[^.\n]{0,20} вопрос"
    )),
    (("hoffe", "lassen sie"), (r"\bich hoffe, (?:das|dies) hilft\b", r"\blassen sie (?:es )?mich wissen\b")),
    (("hésitez", "espère"), (r"\bn'hésitez pas\b", r"\bj'espère que (?:cela|ça)\b")),
    (("espero", "no dude"), (r"\bespero que (?:esto|te|le) (?:te |le )?(?:ayude|sirva)\b", r"\bno dudes? en\b")),
)  # fmt: skip
_QUOTED = re.compile(r"""(?<!":)(?<!": )(?<!^)["'“„«「]$""", re.MULTILINE)
"""Opens before what is said; not a JSON value, nor a text that is all in quotation marks."""
_Rules = tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]


def _compiled(rules: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]) -> _Rules:
    return tuple((literals, re.compile("|".join(patterns), re.MULTILINE)) for literals, patterns in rules)


_RULES = {"refusal": _compiled(_REFUSALS), "leftover": _compiled(_LEFTOVERS), "courtesy": _compiled(_COURTESIES)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a trace may have."""

    refusal: bool = False
    leftover: bool = False
    courtesy: bool = True

    name: ClassVar[str] = "refusal"
    version: ClassVar[str] = "1"

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `refusal`, or `boilerplate` for leftovers and courtesies, with what was said as detail."""
        edges = _folded("\n\n".join((*_edges(trace.answer), *_edges(trace.reasoning))))
        for kind, rules in _RULES.items():
            if getattr(self, kind):
                continue
            if said := _said(edges, rules, prompt.text):
                reason = "refusal" if kind == "refusal" else "boilerplate"
                return Drop(trace.id, self.name, self.version, reason, f"{kind}: {said!r}")
        return None


def _edges(text: str) -> tuple[str, ...]:
    return (text,) if len(text) <= 2 * EDGE else (text[:EDGE], text[-EDGE:])


def _folded(text: str) -> str:
    """In lower case, with straight apostrophes and "am" written out."""
    return text.lower().replace("’", "'").replace("i'm ", "i am ")


def _said(edges: str, rules: _Rules, question: str) -> str | None:
    """What one of the rules finds, and neither the prompt nor a quotation has."""
    for literals, pattern in rules:
        for literal in literals:  # any(…) takes twice as long
            if literal in edges:
                break
        else:
            continue
        for found in pattern.finditer(edges):
            if not _QUOTED.search(edges, 0, found.start()) and found[0] not in _folded(question):
                return found[0].strip()
    return None


plugin = Refusal()

_SUM = "First I add 16 and 3, which is 19. "
EXAMPLES = (
    FilterExample(_SUM, None, "right: an answer", answer="19"),
    FilterExample(_SUM, None, "right: polite", answer="It is 19. I hope this helps!"),
    FilterExample(_SUM, "refusal", "wrong: refuses", answer="I'm sorry, but I can’t help with that."),
    FilterExample(_SUM, "refusal", "wrong: unable", answer="I am unable to provide a numerical answer here."),
    FilterExample(_SUM, "refusal", "wrong: in JSON", answer='{"answer": "I cannot provide an answer."}'),
    FilterExample(f"{_SUM * 50} I must decline to answer this.", "refusal", "wrong: the reasoning's end"),
    FilterExample(_SUM, "refusal", "wrong: as an AI", answer="As an AI developed to be safe, I cannot do this."),
    FilterExample(_SUM, "refusal", "wrong: Chinese", answer="抱歉，我无法回答这个问题。"),
    FilterExample(_SUM, "refusal", "wrong: Japanese", answer="申し訳ありませんが、お手伝いできません。"),
    FilterExample(_SUM, "refusal", "wrong: Russian", answer="Извините, но я не могу помочь с этим."),
    FilterExample(_SUM, "refusal", "wrong: German", answer="Ich kann Ihnen dabei leider nicht helfen."),
    FilterExample(_SUM, "refusal", "wrong: French", answer="Désolé, je ne peux pas vous aider."),
    FilterExample(_SUM, "refusal", "wrong: Spanish", answer="Lo siento, pero no puedo ayudarte."),
    FilterExample(_SUM, "boilerplate", "wrong: a model's phrase", answer="As an AI language model, I find it is 19."),
    FilterExample(_SUM, "boilerplate", "wrong: a placeholder", answer="It is 19.\n\nBest regards,\n[Your Name]"),
    FilterExample("You are a helpful assistant. 16 + 3 = 19", "boilerplate", "wrong: a system prompt"),
    FilterExample(_SUM, "boilerplate", "wrong: no courtesy wanted", answer="19. Let me know if that is clear.",
                  options={"courtesy": False}),
    FilterExample("I can't use the formula here, and we cannot assume x > 0.", None, "adversarial: mathematics"),
    FilterExample("I can't help but notice that 16 is a square.", None, "adversarial: can't help noticing"),
    FilterExample("I cannot provide more than 3 edges to a vertex.", None, "adversarial: a graph's edges"),
    FilterExample("我不能假设x大于零，所以分两种情况。", None, "adversarial: Chinese mathematics"),
    FilterExample(_SUM, None, "adversarial: a story", answer='The guard says, "I can\'t help you with that."'),
    FilterExample(_SUM, None, "adversarial: an honest end", answer="The age cannot be determined from what is given."),
    FilterExample(_SUM, None, "adversarial: a letter was asked for", answer="Yours, [Your Name]",
                  prompt="Write a letter and sign it with [Your Name]."),
    FilterExample(f"{_SUM * 30} I can't help with that, he said. {_SUM * 30}", None, "adversarial: amid a chain"),
    FilterExample(_SUM, None, "adversarial: allowed", answer="I can't help with that.", options={"refusal": True}),
)  # fmt: skip
