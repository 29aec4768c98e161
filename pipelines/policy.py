"""A filter policy: the filters and sieves of a recipe with their options, and the id of their drops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tracemill.core import plugins
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Filter, Sieve
from tracemill.corpus.selection import Selection
from tracemill.filters.embedding import need_model
from tracemill.filters.privacy import Privacy
from tracemill.filters.semantic_duplicates import SemanticDuplicates
from tracemill.pipelines.recipe import FilterSection, SelectSection


@dataclass(frozen=True, slots=True)
class Policy:
    """Filters refuse single traces and come first, sieves see what they left; both in the order of the recipe."""

    id: str
    """Of names, options, versions and what the files that filters read hold."""
    filters: tuple[Filter, ...]
    sieves: tuple[Sieve, ...]

    @property
    def reads_files(self) -> bool:
        """Whether it is another policy when files that its filters read change."""
        return any(getattr(one, "digest", "") for one in (*self.filters, *self.sieves))

    @property
    def masks(self) -> tuple[str, ...]:
        """Kinds of personal data that are masked where traces leave."""
        asked = (one.kinds for one in self.filters if isinstance(one, Privacy) and one.action == "mask")
        return tuple(sorted({kind for kinds in asked for kind in kinds}))

    def selection(self, section: SelectSection) -> Selection:
        """A recipe's selection, with what the policy masks in it."""
        return replace(section.selection(), masks=self.masks)


def policy_of(sections: Sequence[FilterSection], where: str = "filters") -> Policy:
    """The policy of a recipe's `filters`. Raises InputError naming the field for what is no filter."""
    plain = [canonical_json(section.model_dump(mode="json")) for section in sections]
    found: list[Filter | Sieve] = [
        plugins.get("filters", section.name, section.options, where=f"{where}[{at}]")
        for at, section in enumerate(sections)
    ]
    for at, one in enumerate(found):
        if isinstance(one, SemanticDuplicates):  # now, not when all traces are made
            need_model(f"{where}[{at}]")
    files = filter(None, (getattr(one, "digest", "") for one in found))
    return Policy(
        content_id("policy", *plain, *(one.version for one in found), *files),
        tuple(one for one in found if isinstance(one, Filter)),
        tuple(one for one in found if isinstance(one, Sieve)),
    )
