"""Programs that set pages: whatever of them is installed.

``story`` is PyMuPDF's own and always there; ``weasyprint``, ``chromium`` and ``latex`` (pdfTeX)
are run where they are found. Each writes its PDFs in a way of its own: how spaces, ligatures and
drawings are stored differs, and a converter must not lean on one of them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pymupdf

from tests.benchmarks.pdf.content import Content
from tests.benchmarks.pdf.pages_html import page_html
from tests.benchmarks.pdf.pages_tex import page_tex
from tests.benchmarks.pdf.styles import Style

_PROGRAMS = {
    "weasyprint": ("weasyprint",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "latex": ("pdflatex",),
}
NAMES = ("story", *_PROGRAMS)


def renderers() -> list[str]:
    """Those that can be used here."""
    return ["story", *(name for name in _PROGRAMS if _program(name))]


def render(content: Content, style: Style, target: Path) -> None:
    """Set a text and write the PDF.

    Raises:
        RuntimeError: The program failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if style.renderer == "latex":
            (folder / "page.tex").write_text(page_tex(content, style, folder), encoding="utf-8")
            command = [_program("latex"), "-interaction=nonstopmode", "page.tex"]
            for _ in range(2):
                _run(command, folder)
            shutil.copyfile(folder / "page.pdf", target)
            return
        source = folder / "page.html"
        source.write_text(page_html(content, style, folder), encoding="utf-8")
        if style.renderer == "weasyprint":
            _run([_program("weasyprint"), "-q", str(source), str(target)], folder)
        elif style.renderer == "chromium":
            _run(
                [
                    _program("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
                    f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer",
                    f"--print-to-pdf={target}", source.as_uri(),
                ],
                folder,
            )  # fmt: skip
        else:
            _story(source, style, content.title, target)


def _program(name: str) -> str:
    return next((path for p in _PROGRAMS[name] if (path := shutil.which(p))), "")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120
    )
    made = folder / "page.pdf"  # TeX also fails over trifles after which the page is whole
    if done.returncode and not (command[-1] == "page.tex" and made.exists()):
        raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr)[-2000:]}")


def _story(source: Path, style: Style, title: str, target: Path) -> None:
    """PyMuPDF: columns are boxes, heads and feet are written last."""
    archive = pymupdf.Archive(str(source.parent))
    for path in {style.family.regular, style.family.italic, style.family.bold, style.mono} - {""}:
        archive.add((Path(path).read_bytes(), Path(path).name))
    story = pymupdf.Story(source.read_text(encoding="utf-8"), archive=archive)
    width, height = style.page
    side, top = style.margins
    gap = 20.0
    room = (width - 2 * side - gap * (style.columns - 1)) / style.columns
    boxes = [
        pymupdf.Rect(x := side + i * (room + gap), top, x + room, height - top)
        for i in range(style.columns)
    ]
    writer = pymupdf.DocumentWriter(str(target.with_suffix(".tmp")))
    more = 1
    while more:
        device = writer.begin_page(pymupdf.Rect(0, 0, width, height))
        for box in boxes:
            more, _ = story.place(box)
            story.draw(device)
            if not more:
                break
        writer.end_page()
    writer.close()
    with pymupdf.open(str(target.with_suffix(".tmp")), filetype="pdf") as file:
        font = {"fontname": "F7", "fontfile": style.family.regular, "fontsize": 8}
        for number, page in enumerate(file, 1):
            if style.head:
                page.insert_text((side, top * 0.55), title, **font)
            if style.foot:
                text = {"of": f"Page {number} of {len(file)}"}.get(style.foot, str(number))
                page.insert_text((width / 2, height - top * 0.5), text, **font)
        file.ez_save(str(target))
    target.with_suffix(".tmp").unlink()
