"""Reading and writing PDF files with PyMuPDF.

PyMuPDF is under the AGPL. Besides this package, ``rendering`` and ``synth`` import it to typeset
formulas and to draw training pages.
"""

from ocrtool.document.lines import Rule
from ocrtool.pdf.file import MAX_PAGE_PIXELS, METADATA_FIELDS, POINTS_PER_INCH, PdfFile
from ocrtool.pdf.invisible_text import TextRun
from ocrtool.pdf.native import NativePage, native_page
from ocrtool.pdf.searchable import MAX_UNSAVED_PAGES, PdfMaker
from ocrtool.pdf.svg import draw_svg
from ocrtool.pdf.text_layer import PdfLayer

__all__ = [
    "MAX_PAGE_PIXELS",
    "MAX_UNSAVED_PAGES",
    "METADATA_FIELDS",
    "POINTS_PER_INCH",
    "NativePage",
    "PdfFile",
    "PdfLayer",
    "PdfMaker",
    "Rule",
    "TextRun",
    "draw_svg",
    "native_page",
]
