"""What pictures say in LaTeX, in every format of ``ocrtool latex``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ocrtool.document.tree import Block, Box, Page
from ocrtool.errors import InputError
from ocrtool.options import ImageChoice, LatexFormat, Wrap
from ocrtool.writers import PageFormat, PageInput, WriteOptions, formats, open_writer

if TYPE_CHECKING:
    from ocrtool.pipelines.transcribe import Transcript

WRAPS = {
    Wrap.NONE: ("", ""),
    Wrap.INLINE: (r"\(", r"\)"),
    Wrap.DISPLAY: ("\\[\n", "\n\\]"),
    Wrap.EQUATION: ("\\begin{equation}\n", "\n\\end{equation}"),
}
MARKDOWN_WRAPS = {
    Wrap.NONE: ("$$\n", "\n$$"),
    Wrap.INLINE: ("$", "$"),
    Wrap.DISPLAY: ("$$\n", "\n$$"),
    Wrap.EQUATION: ("$$\n", "\n$$"),
}
TYPST_WRAPS = {
    Wrap.NONE: ("", ""),
    Wrap.INLINE: ("$", "$"),
    Wrap.DISPLAY: ("$ ", " $"),
    Wrap.EQUATION: ('#math.equation(block: true, numbering: "(1)", $', "$)"),
}


def latex_of(transcript: Transcript, wrap: Wrap = Wrap.NONE, image_folder: str = "") -> str:
    """Return a formula, a ``tabular``, or a document that compiles by itself.

    Args:
        transcript: What a picture says.
        wrap: What is put round a formula.
        image_folder: Where the figures of a page are, as the text refers to them.
    """
    if transcript.kind == "formula":
        return _wrapped(_formula(transcript), WRAPS[wrap])
    if transcript.kind == "table":
        from ocrtool.writers.latex_table import tabular

        return tabular(_block(transcript)) if _block(transcript).cells else ""
    return _page(transcript, formats.TEX, image_folder)


def markdown_of(transcript: Transcript, wrap: Wrap = Wrap.NONE, image_folder: str = "") -> str:
    """Return what a picture says in Markdown; see :func:`latex_of`."""
    if transcript.kind == "formula":
        return _wrapped(_formula(transcript), MARKDOWN_WRAPS[wrap])
    return _page(transcript, formats.MD, image_folder)


def typst_of(transcript: Transcript, wrap: Wrap = Wrap.NONE, image_folder: str = "") -> str:
    """Return a formula for Typst.

    Raises:
        InputError: It is no formula.
    """
    from ocrtool.latex_syntax.typst import to_typst

    return _wrapped(to_typst(_only_formula(transcript, LatexFormat.TYPST)), TYPST_WRAPS[wrap])


def mathml_of(transcript: Transcript, wrap: Wrap = Wrap.NONE, image_folder: str = "") -> str:
    """Return a formula as MathML.

    Raises:
        InputError: It is no formula.
        MissingDependencyError: The package that makes it is not installed.
    """
    from ocrtool.latex_syntax.mathml import to_mathml

    latex = _only_formula(transcript, LatexFormat.MATHML)
    return to_mathml(latex, display=wrap is not Wrap.INLINE)


def record_of(transcript: Transcript, wrap: Wrap = Wrap.NONE, image_folder: str = "") -> str:
    """Return a record as JSON on one line."""
    record: dict[str, Any] = {
        "source": transcript.source,
        "page": transcript.number,
        "kind": transcript.kind,
        "latex": latex_of(transcript, wrap, image_folder),
        "confidence": round(float(transcript.confidence), 4),
    }
    if transcript.formula is not None:
        record["valid"] = transcript.formula.valid
        if transcript.formula.others:
            record["others"] = list(transcript.formula.others)
    if transcript.closeness is not None:
        record["closeness"] = round(float(transcript.closeness), 4)
        record["verified"] = transcript.agrees
    if transcript.kind == "table":
        record["markdown"] = markdown_of(transcript)
    return json.dumps(record, ensure_ascii=False)


TEXTS: dict[LatexFormat, Callable[[Transcript, Wrap, str], str]] = {
    LatexFormat.TEX: latex_of,
    LatexFormat.MD: markdown_of,
    LatexFormat.TYPST: typst_of,
    LatexFormat.MATHML: mathml_of,
    LatexFormat.JSON: record_of,
    LatexFormat.JSONL: record_of,
}
"""What a format says of one picture."""
SUFFIXES = {
    **{f".{form.value}": form for form in LatexFormat},
    ".markdown": LatexFormat.MD,
    ".mml": LatexFormat.MATHML,
    ".typ": LatexFormat.TYPST,
}
"""What the name of an output tells of its format."""
ENDINGS = {LatexFormat.TYPST: ".typ", LatexFormat.MATHML: ".mml"}
"""Suffixes of files that are not called by their format."""


def write_texts(texts: Iterable[str], form: LatexFormat, write: Callable[[str], object]) -> None:
    """Write what pictures say, one after the other.

    Args:
        texts: Of each picture, in the format.
        form: The format. A blank line parts texts of which one has several lines.
        write: Takes the output piece by piece.
    """
    if form is LatexFormat.JSON:
        between = "[\n"
        for text in texts:
            write(between + text)
            between = ",\n"
        write("[]\n" if between == "[\n" else "\n]\n")
        return
    last: str | None = None
    for text in texts:
        if last is not None and ("\n" in text or "\n" in last):
            write("\n")
        write(text + "\n")
        last = text


def _wrapped(text: str, wrap: tuple[str, str]) -> str:
    return wrap[0] + text + wrap[1] if text else ""


def _formula(transcript: Transcript) -> str:
    return transcript.formula.latex if transcript.formula else ""


def _block(transcript: Transcript) -> Block:
    return transcript.block or Block("table", Box(0, 0, 0, 0))


def _only_formula(transcript: Transcript, form: LatexFormat) -> str:
    if transcript.kind != "formula":
        raise InputError(
            f"{transcript.source}: is a {transcript.kind}, which {form} cannot hold",
            "use -f md or tex; --kind formula takes it for a formula",
        )
    return _formula(transcript)


def _page(transcript: Transcript, form: PageFormat, image_folder: str) -> str:
    """Return pages, or a table as the only block of one."""
    pages = transcript.pages or (Page(1, 0, 0, (_block(transcript),)),)
    images = ImageChoice.REFS if image_folder else ImageChoice.NONE
    written: list[str] = []
    writer = open_writer(form, written.append, WriteOptions(0.0, images=images,
                                                            image_folder=image_folder))  # fmt: skip
    for page in pages:
        writer.add(PageInput(transcript.source, page, metadata=transcript.metadata))
    writer.finish()
    return "".join(written).strip("\n")
