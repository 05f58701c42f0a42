"""Small PDFs for the tests of conversions, and the command run as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pymupdf

WHO = ("Keepers", "A sailor", "Three gulls", "The pilot", "Nobody", "My aunt", "One clerk")
WHERE = ("at dusk", "on the stairs", "by the lamp", "out at sea", "in winter")


def title(number: int) -> str:
    """Return words that differ from page to page, so that no page's head looks like another's."""
    return f"{WHO[number % len(WHO)]} {WHERE[number // len(WHO) % len(WHERE)]}"


def text_pdf(path: Path, pages: int, name: str = "", rows: int = 12) -> Path:
    """Write a PDF of native text, every page different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            page = document.new_page(width=420, height=300)
            text = f"{title(number)} in {name or path.stem}"
            page.insert_text((40, 50), text, fontsize=18)
            for row in range(rows):
                words = f"Row {row} of page {number} tells what {title(row + number)} saw."
                page.insert_text((40, 80 + 14 * row), words, fontsize=10)
        document.save(path)
    return path


def slow_pdf(path: Path, pages: int = 3, slow: int = 2) -> Path:
    """Write a PDF of which one page takes hours to read: forms that show forms, ten at a time."""
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            page = document.new_page(width=420, height=300)
            page.insert_text((40, 50), f"Part {number} of the file")
        shown = None
        for _ in range(10):
            form = document.get_new_xref()
            resources = f"/XObject<</F {shown} 0 R>>" if shown else ""
            document.update_object(
                form, f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<<{resources}>>>>"
            )
            document.update_stream(form, b"/F Do " * 10 if shown else b"q Q")
            shown = form
        page = document[slow - 1]
        kind, value = document.xref_get_key(page.xref, "Resources")
        place, key = (int(value.split()[0]), "") if kind == "xref" else (page.xref, "Resources/")
        document.xref_set_key(place, f"{key}XObject", f"<</F {shown} 0 R>>")
        contents = page.get_contents()[0]
        document.update_stream(contents, document.xref_stream(contents) + b"\n/F Do\n")
        document.save(path)
    return path


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of ``ocrtool pdf``."""
    return [sys.executable, "-m", "ocrtool", "pdf", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the environment without options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OCRTOOL_")}


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``ocrtool pdf`` to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), **options
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but the journal."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ocrtool" not in path.parts
    }
