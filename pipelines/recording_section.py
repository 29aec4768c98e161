"""The part of a recipe that names recorded completions, as prompts and for `engine: replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tracemill.factory.layouts import ColumnLayout, Layout
from tracemill.factory.recording import LAYOUTS, LayoutName, Source
from tracemill.pipelines.section import Section


class RecordedColumnsSection(Section):
    """Which columns hold what. `a.b` is field b of the object in column a, or of each object of its list.

    `completion` holds one text or a list of them; the columns after it hold one value for all, or a list as long. All
    columns that are named must be in every row; values may be null.
    """

    text: str = Field("prompt", description="the question")
    reference: str | None = Field("answer", description="gold answer or tests; null where the file has none")
    completion: str = Field("completion", description="what the model wrote, or its answer alone")
    reasoning: str | None = Field(None, description="its reasoning, where that has a column of its own")
    model: str | None = Field(None, description="the model that wrote it")
    prompt_tokens: str | None = Field(None, description="tokens of the prompt")
    completion_tokens: str | None = Field(None, description="tokens of the completion")
    finish_reason: str | None = Field(None, description="stop or length; unset: stop")
    metadata: tuple[str, ...] = Field((), description="columns that the verifier reads besides: task, entry_point, …")


class RecordingSource(Section):
    """Recorded completions, with their questions; `engine: replay` gives them back, in file order."""

    source: Literal["recording"]
    path: Path = Field(description=".jsonl, .jsonl.gz or .parquet, a folder of these, or one that `datasets` saved")
    layout: LayoutName = Field("columns", description="how rows are read")
    columns: RecordedColumnsSection = Field(RecordedColumnsSection(), description="names, for layout `columns`")
    split: str = Field("train", description="of a folder: the split, or files whose names begin with it")
    verifier: str | None = Field(None, description="verifier that judges the answers; unset: the layout's, or math")
    domain: str | None = Field(None, description="domain of the prompts; unset: the layout's, or math")
    model: str | None = Field(None, description="model that wrote the completions, where their rows do not say it")
    limit: int | None = Field(None, gt=0, description="use only the first so many rows")
    examples: ClassVar[tuple[Any, ...]] = ()
    """Other sources may show worked examples; what is recorded was asked already."""

    @model_validator(mode="after")
    def _columns_are_used(self) -> RecordingSource:
        if self.layout != "columns" and self.columns != RecordedColumnsSection():
            raise PydanticCustomError("columns", f"columns go with layout columns; {self.layout} has its own")
        return self

    def recording(self, where: str) -> Source:
        """The same as the factory knows it; `where` names the field in messages."""
        layout: Layout = ColumnLayout(**self.columns.model_dump()) if self.layout == "columns" else LAYOUTS[self.layout]
        return Source(self.path, layout, where, self.split, self.limit, self.verifier, self.domain, self.model)
