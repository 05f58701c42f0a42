"""PDF files in and out. The only package that imports PyMuPDF, which is under the AGPL."""

from ocrtool.document.detected import Rule
from ocrtool.pdf.file import METADATA_FIELDS, MOST_PIXELS, POINTS, PdfFile
from ocrtool.pdf.invisible_text import Run
from ocrtool.pdf.native import NativePage, native_page
from ocrtool.pdf.searchable import PAGES_HELD, PdfMaker
from ocrtool.pdf.svg import draw_svg
from ocrtool.pdf.text_layer import PdfLayer

__all__ = [
    "METADATA_FIELDS",
    "MOST_PIXELS",
    "PAGES_HELD",
    "POINTS",
    "NativePage",
    "PdfFile",
    "PdfLayer",
    "PdfMaker",
    "Rule",
    "Run",
    "draw_svg",
    "native_page",
]
