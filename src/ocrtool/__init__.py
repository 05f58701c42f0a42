"""ocrtool reads text from images, offline, with small weights that ship in the package.

The command line is ``ocrtool``; from Python the same reader is one call::

    import ocrtool

    page = ocrtool.read_page("photo.jpg")  # a page, photo or screenshot
    line = ocrtool.read("line.png")  # the picture of one line
    print(page.text, line.text, line.confidence)

Nothing heavy is imported here: the functions are looked up when they are first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ocrtool.version import __version__

if TYPE_CHECKING:
    from ocrtool.pages.reader import read_page as read_page
    from ocrtool.readers.lines import read as read

# ONNX Runtime reports usage over the network unless this is set before it is first imported, and
# so does the hub's client. Set here, it holds for every module, and worker processes inherit it.
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[_name] = "1"

__all__ = ["__version__", "read", "read_page"]


def __getattr__(name: str) -> Any:
    """Import a function on first use, so that ``import ocrtool`` stays light (PEP 562)."""
    if name == "read":
        from ocrtool.readers.lines import read

        return read
    if name == "read_page":
        from ocrtool.pages.reader import read_page

        return read_page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, the lazy ones included."""
    return sorted({*globals(), *__all__})
