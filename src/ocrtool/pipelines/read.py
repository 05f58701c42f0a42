"""``ocrtool read``: from inputs to outputs, page by page, with no more than one in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool import console
from ocrtool.errors import EncryptedError, ExitCode, InputError
from ocrtool.inputs import clipboard
from ocrtool.inputs.page_ranges import PageSelection
from ocrtool.inputs.paths import content_of
from ocrtool.options import LayoutMode, ReadOptions
from ocrtool.pipelines.outputs import PageOutputs, as_read
from ocrtool.writers import PageFormat, PageInput, PageWriter, open_writer

if TYPE_CHECKING:
    from ocrtool.document.hyphenation import Hyphens
    from ocrtool.options import Order
    from ocrtool.readers import ReadsPages


_ORDERS: dict[LayoutMode, Order] = {
    LayoutMode.AUTO: "page",
    LayoutMode.PAGE: "page",
    LayoutMode.BLOCK: "block",
    LayoutMode.SPARSE: "sparse",
}


@dataclass(frozen=True)
class PageJob:
    """What is to be read, and where it goes.

    Attributes:
        sources: Inputs; an error stands for one that cannot be had.
        forms: Formats; none means what the suffix of ``out`` tells.
        out: ``-`` for standard output, a file or a folder; see :class:`PageOutputs`.
        overwrite: Whether files that exist may be replaced.
        selection: Pages that are wanted of each input.
        layout: What an image holds; not ``line``, which has no pages.
        hyphens: What becomes of words that are split at the ends of lines.
        overlay: Where pictures with what was found are drawn, if wanted.
        copy: Whether the text is also left on the clipboard.
    """

    sources: Sequence[str | InputError]
    forms: Sequence[PageFormat]
    out: str
    overwrite: bool
    selection: PageSelection
    layout: LayoutMode
    hyphens: Hyphens
    overlay: Path | None
    copy: bool = False


def read_pages(job: PageJob, options: ReadOptions) -> int:
    """Read all inputs; one that fails never stops the others.

    Returns:
        The exit code.

    Raises:
        InputError: The only input cannot be read.
        EncryptedError: The only input is encrypted.
        OutputError: Nothing can be written, or copied to the clipboard.
        ModelError: There is no such model.
    """
    outputs = PageOutputs(
        job.out, job.forms, job.overwrite, options.min_confidence, len(job.sources)
    )
    failures = 0
    overlays = _Overlays(job.overlay, job.overwrite)
    copied: list[str | bytes] = []
    wanted = as_read(options.min_confidence)
    copying = [open_writer(PageFormat.TXT, copied.append, wanted)] * job.copy
    with outputs.opened(), console.progress("Reading", len(job.sources)) as step:
        # After the output was opened: what cannot be written need not be read.
        from ocrtool.pages.formulas import bundled_reader
        from ocrtool.pages.open import open_pages
        from ocrtool.structure import AssembleOptions

        assembling = AssembleOptions(hyphens=job.hyphens, order=_ORDERS[job.layout])
        lone, formulas = job.layout is LayoutMode.AUTO, bundled_reader(options)
        reader = open_pages(options, assembling, lone_lines=lone, formulas=formulas)
        for source in job.sources:
            try:
                if isinstance(source, InputError):
                    raise source
                with outputs.document(source) as writers:
                    _read_document(reader, source, job, [*writers, *copying], overlays)
            except (InputError, EncryptedError) as problem:
                if len(job.sources) == 1:
                    raise  # its failure is the command's, and no output appears
                console.error(str(problem))
                failures += 1
            step(1)
    for writer in copying:
        writer.finish()
        clipboard.put("".join(str(part) for part in copied))
    if failures:
        console.say(f"{len(job.sources) - failures} read, {failures} failed")
        return ExitCode.FAILED
    return ExitCode.OK


def _read_document(
    reader: ReadsPages,
    source: str,
    job: PageJob,
    writers: Sequence[PageWriter],
    overlays: _Overlays,
) -> None:
    from ocrtool.document.hyphenation import words_in
    from ocrtool.inputs.images import open_pages

    content = content_of(source)
    known: set[str] = set()
    for image, page in reader.read_stream(open_pages(content, job.selection), known):
        if job.hyphens == "join":
            known |= words_in(block.text for block in page.blocks)
        sheet = PageInput(source, page, image.picture, image.metadata)
        for writer in writers:
            writer.add(sheet)
        overlays.add(sheet)


class _Overlays:
    """Draws each page to a file of its own: NAME.png, NAME-2.png and so on."""

    def __init__(self, path: Path | None, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._count = 0

    def add(self, sheet: PageInput) -> None:
        if self._path is None:
            return
        from ocrtool.writers.overlay import overlay_png

        self._count += 1
        path = self._path
        if self._count > 1:
            path = path.with_name(f"{path.stem}-{self._count}{path.suffix}")
        with console.output(str(path), self._overwrite, binary=True) as write:
            write(overlay_png(sheet))
