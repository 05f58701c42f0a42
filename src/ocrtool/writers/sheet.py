"""What writers take: pages one by one, each with what it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ocrtool.document import Page
from ocrtool.picture import Picture

__all__ = ["PageWriter", "Picture", "Sheet"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A page on its way to the writers.

    Attributes:
        source: Name of the input: a path, or ``-``.
        page: What was read.
        picture: What it was read from; the formats of :data:`ocrtool.writers.PICTURED` need it.
        facts: Of the document, where they are known; those of its first sheet count.
    """

    source: str
    page: Page
    picture: Picture | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class PageWriter(Protocol):
    """Writes one output; holds no more than a page at a time."""

    def add(self, sheet: Sheet) -> None:
        """Write the next page."""

    def finish(self) -> None:
        """Write what comes after the last page. Without it the output is not complete."""
