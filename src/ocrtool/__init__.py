"""ocrtool reads text from images, offline, with small weights that ship in the package.

The command line is ``ocrtool``; from Python::

    import ocrtool

    page = ocrtool.read("photo.jpg")  # a page, photo, screenshot or line
    document = ocrtool.convert("paper.pdf")  # a PDF or an image, to Markdown and other forms
    formula = ocrtool.latex("equation.png")
    reader = ocrtool.Reader(device="cpu")  # keeps its models loaded

`ocrtool.pipelines.api` has all of them. Nothing heavy is imported here: the functions are looked
up when they are first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtool.document.tree import Page as Page
    from ocrtool.pipelines.api import Document as Document
    from ocrtool.pipelines.api import Formula as Formula
    from ocrtool.pipelines.api import Reader as Reader
    from ocrtool.pipelines.api import Table as Table
    from ocrtool.pipelines.api import convert as convert
    from ocrtool.pipelines.api import latex as latex
    from ocrtool.pipelines.api import read as read
    from ocrtool.version import __version__ as __version__

# ONNX Runtime reports usage over the network unless this is set before it is first imported, and
# so does the hub's client. Set here, it holds for every module, and worker processes inherit it.
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[_name] = "1"

__all__ = [
    "Document",
    "Formula",
    "Page",
    "Reader",
    "Table",
    "__version__",
    "convert",
    "latex",
    "read",
]


def __getattr__(name: str) -> Any:
    """Import a name on first use, so that ``import ocrtool`` stays light (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from ocrtool.version import __version__

        return __version__
    from ocrtool.pipelines import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
