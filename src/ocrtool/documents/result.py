"""Result of converting a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ocrtool.document.tree import Page

Route = Literal["native", "ocr", "mixed", "blank"]
"""Source of a page's text: its text layer, OCR of its image, both, or none (blank)."""


@dataclass(frozen=True)
class PageResult:
    """A page that has been converted.

    Attributes:
        page: Its content; geometry in pixels of the page rendered at ``page.dpi``.
        route: Source of its text.
        warnings: Possible defects, one line each.
        pictures: Contents of image files by name; ``Block.image`` refers to them.
    """

    page: Page
    route: Route
    warnings: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
