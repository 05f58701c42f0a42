"""What converting a page gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ocrtool.document.tree import Page

Route = Literal["native", "ocr", "mixed", "blank"]
"""Where a page's text is from: its own layer, its picture, or both; or it has none."""


@dataclass(frozen=True)
class PageResult:
    """A page that has been converted.

    Attributes:
        page: What it holds; geometry in pixels of the page drawn at ``page.dpi``.
        route: Where its text is from.
        warnings: What may be wrong with it, a line each.
        pictures: Content of image files by name, as ``Block.image`` has it.
    """

    page: Page
    route: Route
    warnings: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
