"""Settings of this machine, from `TRACEMILL_…` variables. What a data set is made of stands in its recipe."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tracemill.core.errors import InputError


def location(corpus: Path | str) -> Path | str:
    """Where a corpus lies: an absolute folder, or the URL of a bucket and prefix."""
    text = str(corpus)
    return text if text.startswith("s3:") else Path(text).expanduser().absolute()


class Settings(BaseSettings):
    """Where things lie and what may be used. Paths may be relative to the current folder."""

    model_config = SettingsConfigDict(env_prefix="TRACEMILL_", extra="ignore", validate_default=True)

    corpus: Path | str = Field(
        Path("tracemill-data/corpus"), description="folder of the corpus, or `s3://bucket/prefix`"
    )
    exports: Path = Field(Path("tracemill-data/exports"), description="folder that exports are written to")
    prompts: Path = Field(Path("tracemill-data/prompts"), description="folder that recipes over REST may read from")
    models: Path = Field(Path("tracemill-data/models"), description="folder that trained models are written to")
    cache: Path = Field(Path("~/.cache/tracemill"), description="folder of converted models")
    jobs_url: str = Field("sqlite:///tracemill-data/jobs.db", description="SQLAlchemy URL of the jobs store")
    ray_address: str | None = Field(
        None, description="Ray cluster to join (host:port); a local one is started if unset"
    )
    engine_idle_s: float = Field(
        60.0, description="seconds for which an engine in a Ray cluster that was joined stays loaded without work", ge=0
    )
    servers: dict[str, str] = Field(
        {},
        description="servers that recipes over REST may ask: JSON, each base_url with the name of its key's variable",
    )
    host: str = Field("127.0.0.1", description="address that `tracemill serve` listens on")
    port: int = Field(8000, description="port that `tracemill serve` listens on", ge=0, le=65535)
    sql_seconds: float = Field(30.0, description="time limit of one SQL query", gt=0)
    sql_memory_mb: int = Field(2048, description="memory limit of one SQL query", ge=256)
    sql_rows: int = Field(10_000, description="most rows that one SQL query returns", ge=1)
    sandbox_over_rest: bool = Field(False, description="whether `tracemill serve` offers POST /v1/sandbox/run")

    @field_validator("corpus", mode="before")
    @classmethod
    def _location(cls, corpus: Path | str) -> Path | str:
        return location(corpus)

    @field_validator("exports", "prompts", "models", "cache")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        # Ray workers run in another folder.
        return path.expanduser().absolute()

    @field_validator("jobs_url")
    @classmethod
    def _absolute_sqlite(cls, url: str) -> str:
        scheme, separator, file = url.partition(":///")
        is_relative = scheme == "sqlite" and separator and file not in ("", ":memory:")
        return f"sqlite:///{Path(file).expanduser().absolute()}" if is_relative else url


def settings() -> Settings:
    """Read the environment now. Raises InputError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TRACEMILL_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"{name}: {first['msg']} (got {first['input']!r})") from error
