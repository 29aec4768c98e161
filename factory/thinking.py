"""Think formats: how a question is put to a model so that it thinks aloud, and how what comes back becomes a trace.

The tags themselves are in `core.markup`. Formats: `r1` (<think> and <answer>, for chat models), `r1_zero` (the template
of DeepSeek-R1-Zero as raw text, for base models), `boxed` (<think>, then a \\boxed{} answer), `native` (the model's own
chat template and reasoning field; nothing is added).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tracemill.core.markup import Markup, markup_named, split
from tracemill.core.types import Completion, Message, Prompt, Request, Trace


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example, shown to the model before the question."""

    prompt: str
    reasoning: str
    answer: str


# The system prompt of open-r1 (huggingface/open-r1, recipes/*/grpo), in R1's words.
R1_SYSTEM = (
    "You are a helpful AI assistant. You first think about the reasoning process as an internal monologue and then "
    "provide the user with the answer. Respond in the following format: "
    "<think>\n...\n</think>\n\n<answer>...</answer>"
)

# DeepSeek-R1 (arXiv 2501.12948), table 1, word for word.
R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., "
    "<think> reasoning process here </think> <answer> answer here </answer>."
)

# DeepSeek-R1's model card, usage recommendations.
BOXED_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True, slots=True)
class ThinkFormat:
    """One think format with the worked examples that go before each question."""

    markup: Markup
    examples: tuple[Example, ...] = ()

    @classmethod
    def named(cls, name: str, examples: tuple[Example, ...] = ()) -> ThinkFormat:
        """The format of that name. Raises InputError for an unknown one."""
        return cls(markup_named(name, "generate.thinking"), examples)

    @property
    def prefill(self) -> str:
        """What opens the assistant's turn; `native` leaves that to the chat template."""
        return "" if self.markup.name == "native" else "<think>\n"

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends the generation, beside the model's own end of turn."""
        return ("</answer>",) if self.markup.answer_tags else ()

    def render(self, text: str) -> str | tuple[Message, ...]:
        """The question with the instruction and the worked examples: chat turns, or raw text for `r1_zero`."""
        if self.markup.name == "r1_zero":
            turns = [f"User: {e.prompt}\nAssistant: {self.markup.join(e.reasoning, e.answer)}" for e in self.examples]
            return "\n\n".join([R1_ZERO_TEMPLATE, *turns, f"User: {text}\nAssistant: "])
        messages = [Message("system", R1_SYSTEM)] if self.markup.name == "r1" else []
        for example in self.examples:
            messages.append(Message("user", self._question(example.prompt)))
            messages.append(self._answer(example))
        return (*messages, Message("user", self._question(text)))

    def _question(self, text: str) -> str:
        return f"{text}\n\n{BOXED_INSTRUCTION}" if self.markup.boxed else text

    def _answer(self, example: Example) -> Message:
        if self.markup.name == "native":
            return Message("assistant", example.answer, reasoning=example.reasoning)
        return Message("assistant", self.markup.join(example.reasoning, example.answer))

    def trace(self, prompt: Prompt, job_id: str, sample: int, model: str, request: Request, done: Completion) -> Trace:
        """The completion as a trace: split into reasoning and answer, with what is wrong with it."""
        text = request.prefill + done.text
        if done.reasoning is not None:  # split by the engine: the same rules hold for it
            text = f"<think>\n{done.reasoning}\n</think>\n{done.text}" if done.reasoning.strip() else done.text
        parts = split(text, self.markup)
        faults = (*parts.faults, "cut_off") if done.finish_reason == "length" else parts.faults
        return Trace(
            id=request.id,
            prompt_id=prompt.id,
            job_id=job_id,
            sample=sample,
            model=model,
            thinking=self.markup.name,
            reasoning=parts.reasoning,
            answer=parts.answer,
            faults=faults,
            sampling=request.sampling,
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            finish_reason=done.finish_reason,
            created_at=datetime.now(UTC),
            logprobs=done.logprobs,
            interventions=done.interventions,
        )
