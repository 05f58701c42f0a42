"""Characters that XML and HTML take."""

from __future__ import annotations

import html
import re

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape(text: str) -> str:
    """Return a text as it stands in elements and attributes; what XML forbids is left out."""
    return html.escape(_FORBIDDEN.sub("", text))


def number(value: float) -> str:
    """Return a coordinate with a hundredth of a pixel, without zeros at the end."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
