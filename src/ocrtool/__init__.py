"""ocrtool reads text from images, offline, with small weights that ship in the package.

The command line is ``ocrtool``; from Python the same reader is one call::

    import ocrtool

    line = ocrtool.read("line.png")
    print(line.text, line.confidence)

Nothing heavy is imported here: :func:`read` is looked up in :mod:`ocrtool.recognize` when it is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtool.recognize import read as read

__version__ = "0.1.0"

__all__ = ["__version__", "read"]


def __getattr__(name: str) -> Any:
    """Import :func:`read` on first use, so that ``import ocrtool`` stays light (PEP 562)."""
    if name == "read":
        from ocrtool.recognize import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, the lazy one included."""
    return sorted({*globals(), *__all__})
