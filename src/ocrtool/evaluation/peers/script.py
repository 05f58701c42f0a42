"""Reads files with another program's Python package, which its own Python runs as a whole process.

``PYTHON script.py NAME LIST TASK``: LIST has a path on each line, TASK is a value of
``ocrtool.evaluation.items.Task``. A record ``{"source", "text"}`` is printed for each file as soon
as it is read. Nothing of ocrtool is imported: the Python may be another one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Read = Callable[[str], str]


def rapidocr(task: str) -> Read:
    """Read lines of pages, or single lines without detection."""
    from rapidocr import RapidOCR

    engine: Any = RapidOCR()
    single = task == "line"

    def read(path: str) -> str:
        result = engine(path, use_det=not single, use_cls=not single)
        return "\n".join(result.txts or ())

    return read


def pymupdf(task: str) -> Read:
    """Convert PDFs with PyMuPDF's Markdown; it brings its layout analysis where it has it."""
    import pymupdf4llm

    def read(path: str) -> str:
        return str(pymupdf4llm.to_markdown(path))

    return read


def docling(task: str) -> Read:
    """Convert documents and images with docling's standard pipeline."""
    from docling.document_converter import DocumentConverter

    converter = DocumentConverter()

    def read(path: str) -> str:
        return str(converter.convert(path).document.export_to_markdown())

    return read


def marker(task: str) -> Read:
    """Convert documents and images with Marker."""
    from marker.converters.pdf import PdfConverter
    from marker.models import create_model_dict
    from marker.output import text_from_rendered

    converter = PdfConverter(artifact_dict=create_model_dict())

    def read(path: str) -> str:
        return str(text_from_rendered(converter(path))[0])

    return read


def markitdown(task: str) -> Read:
    """Convert documents with MarkItDown."""
    from markitdown import MarkItDown

    converter = MarkItDown()

    def read(path: str) -> str:
        return str(converter.convert(path).text_content)

    return read


def pix2tex(task: str) -> Read:
    """Read formulas with pix2tex."""
    from PIL import Image
    from pix2tex.cli import LatexOCR

    model = LatexOCR()

    def read(path: str) -> str:
        with Image.open(path) as image:
            return str(model(image))

    return read


PEERS: dict[str, Callable[[str], Read]] = {
    function.__name__: function
    for function in (rapidocr, pymupdf, docling, marker, markitdown, pix2tex)
}


def main(name: str, listing: str, task: str) -> None:
    """Read the files of a list; what cannot be read is said on standard error."""
    read: Any = PEERS[name](task)
    with open(listing, encoding="utf-8") as file:  # noqa: PTH123 - as little as possible is loaded
        paths = file.read().splitlines()
    for path in paths:
        try:
            record = {"source": path, "text": read(path)}
        except Exception as error:
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
