"""``ocrtool latex``: from inputs to outputs, a bounded number of pictures in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool import console
from ocrtool.errors import (
    EncryptedError,
    ExitCode,
    InputError,
    MissingDependencyError,
    OcrToolError,
    install_command,
)
from ocrtool.inputs import clipboard
from ocrtool.inputs.page_source import DamagedPage
from ocrtool.inputs.paths import FoundInput, OutputNames, content_of, refuse_replacing
from ocrtool.options import LatexFormat, PageSelection, PictureKind, ReadOptions, Wrap
from ocrtool.pipelines import STDOUT, folder_of, made
from ocrtool.pipelines.latex_formats import ENDINGS, SUFFIXES, TEXTS, write_texts

if TYPE_CHECKING:
    from ocrtool.document.tree import Page
    from ocrtool.pipelines.transcribe import Given, Transcriber, Transcript

VERIFIED_BEAM = 4
"""Texts of a beam among which the drawn formula chooses, where nothing else is asked for."""


@dataclass(frozen=True)
class LatexJob:
    """What becomes LaTeX, and where it goes.

    Attributes:
        sources: Inputs; an error stands for one that cannot be had.
        kind: What the pictures hold.
        form: Format; none means what the suffix of ``out`` tells.
        wrap: What is put round formulas.
        out: ``-`` for standard output, a file or a folder.
        overwrite: Whether files that exist may be replaced.
        selection: Pages that are wanted of each input.
        beam: Texts that are followed for each formula; 1 is greedy, 0 leaves the choice.
        verify: Whether formulas are drawn and compared with their pictures.
        copy: Whether the text is also left on the clipboard.
    """

    sources: Sequence[FoundInput | InputError]
    kind: PictureKind
    form: LatexFormat | None
    wrap: Wrap
    out: str
    overwrite: bool
    selection: PageSelection
    beam: int = 0
    verify: bool = False
    copy: bool = False


def typeset(job: LatexJob, options: ReadOptions) -> int:
    """Transcribe all inputs; one that fails never stops the others.

    Returns:
        The exit code.

    Raises:
        InputError: The only input cannot be read.
        EncryptedError: The only input is encrypted.
        OutputError: Nothing can be written, or copied to the clipboard.
        ModelError: There is no such model.
        MissingDependencyError: Formulas cannot be drawn, or written in the format.
    """
    return _Typesetting(job, options).run()


class _Typesetting:
    """One run."""

    def __init__(self, job: LatexJob, options: ReadOptions) -> None:
        self.job = job
        self.options = options
        self.folder = folder_of(job.out)
        self.form = job.form or SUFFIXES.get(Path(job.out).suffix.lower(), LatexFormat.TEX)
        self.names = OutputNames()
        self.places = {
            item.source: item.place for item in job.sources if isinstance(item, FoundInput)
        }
        if self.folder is None:
            refuse_replacing(self.places, [Path(job.out)])
        self.failures: dict[str | InputError, OcrToolError] = {}  # the first of each input
        self.copied: list[str] = []

    def run(self) -> int:
        """Do it; return the exit code."""
        job, count = self.job, len(self.job.sources)
        with console.progress("Reading", count) as step:
            if self.folder:
                made(self.folder)
                self._write_files(self._transcripts(step))
            else:
                with console.output(job.out, job.overwrite) as write:
                    beside = None if job.out == STDOUT else Path(job.out)
                    transcripts = self._merged(self._transcripts(step))
                    write_texts(self._texts(transcripts, beside), self.form, write)
                    self._raise_the_only()  # inside the block: no output file appears
        self._raise_the_only()
        if job.copy:
            clipboard.put("\n".join(self.copied))
        if self.failures:
            console.say(f"{count - len(self.failures)} read, {len(self.failures)} failed")
            return ExitCode.FAILED
        return ExitCode.OK

    def _failed(self, source: str | InputError, problem: OcrToolError) -> None:
        self.failures.setdefault(source, problem)
        if len(self.job.sources) > 1:
            console.error(str(problem))

    def _raise_the_only(self) -> None:
        """Let the failure of the only input be the command's."""
        if self.failures and len(self.job.sources) == 1:
            raise next(iter(self.failures.values()))

    def _transcripts(self, step: Callable[[int], None]) -> Iterator[Transcript]:
        transcriber = self._transcriber()
        for said in transcriber.read(self._pictures(step), self.job.kind):
            if said.formula is not None and not said.formula.valid:
                console.warn(f"{said.source}: what was read is no valid LaTeX, it was repaired")
            if said.agrees is False:
                console.warn(f"{said.source}: the formula that was read looks different")
            yield said

    def _transcriber(self) -> Transcriber:
        # After the output was opened: what cannot be written need not be read.
        from ocrtool.decoding.autoregressive import DecodeOptions
        from ocrtool.pipelines.transcribe import Transcriber

        job = self.job
        beam = job.beam or (VERIFIED_BEAM if job.verify else 1)
        greedy = DecodeOptions(strategy="greedy")
        decoding = replace(greedy, strategy="beam", beam=beam) if beam > 1 else greedy
        renderer = None
        if job.verify:
            from ocrtool.rendering.render import open_renderer

            renderer = open_renderer()
            if renderer is None:
                raise MissingDependencyError(
                    "--verify needs something that draws formulas",
                    f"install TeX, or: {install_command('formulas')}",
                )
        return Transcriber(self.options, decoding, renderer, figures=job.out != STDOUT)

    def _pictures(self, step: Callable[[int], None]) -> Iterator[Given]:
        """Load pictures one by one; those that cannot be read are told."""
        from ocrtool.inputs.page_source import open_pages
        from ocrtool.pipelines.transcribe import Given

        for item in self.job.sources:
            source = item if isinstance(item, InputError) else item.source
            try:
                if isinstance(source, InputError):
                    raise source
                for page in open_pages(content_of(source), self.job.selection):
                    if isinstance(page, DamagedPage):
                        page_of = f"{source}: page {page.number} cannot be read"
                        self._failed(source, InputError(f"{page_of}: {page.error.message}"))
                        continue
                    yield Given(source, page)
            except (InputError, EncryptedError) as problem:
                self._failed(source, problem)
            step(1)

    def _merged(self, transcripts: Iterable[Transcript]) -> Iterator[Transcript]:
        """Put the pages of an input to one document, in formats that have such."""
        if self.form in (LatexFormat.JSON, LatexFormat.JSONL):
            yield from transcripts
            return
        for (_, kind), group in itertools.groupby(
            transcripts, lambda said: (said.source, said.kind)
        ):
            if kind != "page":
                yield from group
                continue
            pages = list(group)
            yield replace(
                pages[0],
                pages=_structured([page for said in pages for page in said.pages], pages[0]),
                figures={name: file for said in pages for name, file in said.figures.items()},
            )

    def _texts(self, transcripts: Iterable[Transcript], beside: Path | None) -> Iterator[str]:
        """Return what transcripts say in the format; figures go to a folder beside the output."""
        for said in transcripts:
            images = self._figures(said, beside) if beside else ""
            try:
                text = TEXTS[self.form](said, self.job.wrap, images)
            except InputError as problem:
                self._failed(said.source, problem)
                continue
            self.copied.append(text)
            yield text

    def _figures(self, said: Transcript, beside: Path) -> str:
        """Write the figures of pages; return what their folder is called."""
        if not said.figures:
            return ""
        folder = made(beside.with_name(f"{beside.stem}_images"))
        for name, content in said.figures.items():
            with console.output(str(folder / name), overwrite=True, binary=True) as write:
                write(content)
        return folder.name

    def _write_files(self, transcripts: Iterable[Transcript]) -> None:
        """Write a file for each input."""
        assert self.folder is not None
        suffix = ENDINGS.get(self.form, f".{self.form}")
        for source, group in itertools.groupby(transcripts, lambda said: said.source):
            path = self.folder / (self.names.of(self.places[source]) + suffix)
            texts = list(self._texts(self._merged(group), path))
            if not texts and source in self.failures:
                continue
            made(path.parent)
            with console.output(str(path), self.job.overwrite) as write:
                write_texts(texts, self.form, write)


def _structured(pages: list[Page], first: Transcript) -> tuple[Page, ...]:
    """Return the pages of a document with what only all of them together tell."""
    from ocrtool.documents.structure import structured

    return tuple(structured(lambda: pages, first.bookmarks))
