"""Options of the library: frozen dataclasses, validated when they are built.

Contradictory or invalid options are refused here, before any work, with a
:class:`~ocrtool.errors.UsageError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from ocrtool.errors import UsageError


class LayoutMode(StrEnum):
    """Content of an input image."""

    AUTO = "auto"
    """A page, or where that finds next to nothing in a small image, perhaps one line."""
    PAGE = "page"
    """Anything: a page, a photo, a screenshot; its text is looked for and put in order."""
    BLOCK = "block"
    """One column of rows, read from top to bottom and each from left to right."""
    SPARSE = "sparse"
    """Labels here and there, each of them a paragraph."""
    LINE = "line"
    """One line of text, nothing else."""


class PictureKind(StrEnum):
    """Content of an image that is converted to LaTeX."""

    AUTO = "auto"
    """Whichever of the others it looks like."""
    FORMULA = "formula"
    """One formula, of any number of rows."""
    TABLE = "table"
    """One table."""
    PAGE = "page"
    """A page: text, formulas, tables, figures."""


class LatexFormat(StrEnum):
    """Output formats of ``ocrtool latex``."""

    TEX = "tex"
    """LaTeX alone."""
    JSONL = "jsonl"
    """One record a line, each written as soon as it is read."""
    JSON = "json"
    """One array of records."""
    MD = "md"
    """Markdown."""
    TYPST = "typst"
    """Formulas for Typst."""
    MATHML = "mathml"
    """Formulas as MathML."""


class Wrap(StrEnum):
    r"""Delimiters around a formula."""

    NONE = "none"
    INLINE = "inline"
    r"""``\(...\)``."""
    DISPLAY = "display"
    r"""``\[...\]``."""
    EQUATION = "equation"
    r"""A numbered environment."""


class HyphenChoice(StrEnum):
    """Treatment of words hyphenated at line ends."""

    KEEP = "keep"
    JOIN = "join"


class DetectorChoice(StrEnum):
    """Detector of text lines."""

    AUTO = "auto"
    BUNDLED = "bundled"
    PPOCR = "ppocr"
    """That of PP-OCR, from the extra ``ppocr``."""


class EngineName(StrEnum):
    """Choices of ``--engine`` that the package comes with; :data:`ENGINES` may have more."""

    AUTO = "auto"
    """The first engine of :data:`ENGINES` for which the model has files."""
    ONNX = "onnx"
    TORCH = "torch"
    TESSERACT = "tesseract"
    """Tesseract reads the lines, where it is installed."""


@dataclass(frozen=True)
class EngineEntry:
    """An inference engine in the table :data:`ENGINES`.

    Attributes:
        name: Its name on the command line.
        opener: ``module:attribute`` of a callable that opens a model. It takes the model folder,
            the device and the number of CPU threads (0: the engine's choice) and returns an
            `ocrtool.engines.Engine`. It is imported when the engine is first used.
        files: Names of the files that the model folder must hold.
        content: What these files are called in messages.
        remedy: How to obtain them.
        extra: Extra of this package that installs the engine; empty if none is needed.
    """

    name: str
    opener: str
    files: tuple[str, ...]
    content: str
    remedy: str
    extra: str = ""


ENGINES: dict[str, EngineEntry] = {}
"""Inference engines by name, in the order in which ``auto`` tries them."""


def register_engine(entry: EngineEntry) -> EngineEntry:
    """Add an engine to :data:`ENGINES`.

    Raises:
        ValueError: The name belongs to another choice of ``--engine``.
    """
    if entry.name in engine_names():
        raise ValueError(f"{entry.name} is another engine")
    ENGINES[entry.name] = entry
    return entry


def engine_names() -> tuple[str, ...]:
    """Return the choices of ``--engine``."""
    return (EngineName.AUTO, *ENGINES, EngineName.TESSERACT)


register_engine(
    EngineEntry(
        EngineName.ONNX,
        "ocrtool.engines.onnx:OnnxEngine",
        ("encoder.onnx", "decoder.onnx"),
        "ONNX files",
        "ocrtool export makes them",
    )
)
register_engine(
    EngineEntry(
        EngineName.TORCH,
        "ocrtool.engines.torch:TorchEngine.open",
        ("model.safetensors",),
        "model.safetensors",
        "use --engine onnx",
        "torch",
    )
)


class Precision(StrEnum):
    """Numeric precision of an exported network."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class TextFormat(StrEnum):
    """Output formats of single lines."""

    TXT = "txt"
    """The text alone, one line an image."""
    JSON = "json"
    """One array of records."""
    JSONL = "jsonl"
    """One record a line, each written as soon as it is read."""


DEVICE_PATTERN = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class ReadOptions:
    """Model, engine, device and thresholds of recognition.

    Args:
        model: Name of a bundled or published model, or path of a model folder; ``None`` takes the
            bundled reader. Of Tesseract, its languages: ``deu+eng``.
        engine: What runs the network: a name of :data:`ENGINES`, ``auto`` or ``tesseract``.
        detector: What finds the lines of pages; ``auto`` is ``ppocr`` where that is the model.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` takes a usable GPU, else the
            CPU; a device named here and not there is an error, never a silent fallback.
        threads: CPU threads; 0 leaves the choice to the engine.
        min_confidence: Text read with less confidence (0 to 1) is withheld.
        offline: Never open a connection, not even for a model that is not in the cache.
        escalate: Model that re-reads the uncertain lines; ``tesseract``, or
            ``tesseract:deu+eng``, is Tesseract. None leaves them as they are.
        below: Confidence below which a line is uncertain.
        budget_lines: Maximum number of lines that a process escalates; None for no limit.
        budget_seconds: Maximum seconds of escalation per process; None for no limit.
        mode: How a page is shown to a model that has modes, such as DeepSeek-OCR.
        prompt: Prompt of such a model.
        int8: Whether such a model keeps its weights in 8 bits.

    Raises:
        UsageError: A value is out of its range, or options contradict each other.
    """

    model: str | None = None
    engine: str = EngineName.AUTO
    detector: DetectorChoice = DetectorChoice.AUTO
    device: str = "auto"
    threads: int = 0
    min_confidence: float = 0.0
    offline: bool = False
    escalate: str | None = None
    below: float = 0.85
    budget_lines: int | None = None
    budget_seconds: float | None = None
    mode: str | None = None
    prompt: str | None = None
    int8: bool = False

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        if not DEVICE_PATTERN.fullmatch(self.device):
            raise UsageError(
                f"unknown device {self.device!r}", "use auto, cpu, cuda, or cuda:N (N from 0)"
            )
        if self.engine not in engine_names():
            raise UsageError(f"no engine {self.engine!r}", f"choose of {', '.join(engine_names())}")
        if self.threads < 0:
            raise UsageError(f"--threads must be 0 or more, not {self.threads}")
        if not 0.0 <= self.min_confidence <= 1.0:
            raise UsageError(f"--min-confidence must lie in 0 to 1, not {self.min_confidence}")
        if not 0.0 <= self.below <= 1.0:
            raise UsageError(f"--below must lie in 0 to 1, not {self.below}")
        if self.escalate is None and (self.budget_lines, self.budget_seconds) != (None, None):
            raise UsageError("--budget bounds what is escalated", "give --escalate, too")


BUDGET = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)|(\d+)")
"""``200`` lines, or ``30s``, ``5m``, ``1.5h``."""
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_budget(text: str | None) -> tuple[int | None, float | None]:
    """Return the lines and seconds that a budget allows; None where it does not bound them.

    Raises:
        UsageError: It is neither a number of lines nor a time.
    """
    if text is None:
        return None, None
    match = BUDGET.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--budget {text!r}", "write lines, 200, or a time: 30s, 5m, 1.5h")
    if match[3] is not None:
        return int(match[3]), None
    return None, float(match[1]) * SECONDS[match[2]]


Order = Literal["page", "block", "sparse", "table"]
ORDERS: dict[LayoutMode, Order] = {
    LayoutMode.AUTO: "page",
    LayoutMode.PAGE: "page",
    LayoutMode.BLOCK: "block",
    LayoutMode.SPARSE: "sparse",
}
"""Reading order of each layout of pages."""


class OcrChoice(StrEnum):
    """When PDF pages are recognised from their image."""

    AUTO = "auto"
    """Where the text that a page holds is missing or bad."""
    NEVER = "never"
    """The text that a page holds is taken as it is."""
    ALWAYS = "always"
    """The text that a page holds is passed over."""


class FormulaChoice(StrEnum):
    """Treatment of displayed formulas."""

    LATEX = "latex"
    """They are read from their picture; where that is not sure, their text is taken."""
    TEXT = "text"
    """Their text as the page holds it."""


class ImageChoice(StrEnum):
    """Treatment of figures."""

    NONE = "none"
    REFS = "refs"
    """Files in a folder beside the output, which refers to them."""
    EMBED = "embed"
    """Part of the output, as data URLs."""


class TableChoice(StrEnum):
    """How tables are written in Markdown."""

    MD = "md"
    """GitHub's tables; those with merged cells as HTML."""
    HTML = "html"
    CSV = "csv"
    """Fenced blocks of comma-separated values."""


class TextLayerChoice(StrEnum):
    """Handling of existing text layers when a searchable PDF is written."""

    KEEP = "keep"
    """Kept where it agrees with what is read; text is added only where there is none."""
    REDO = "redo"
    """Invisible text is removed, and what is read is laid over the page."""
    REPLACE = "replace"
    """Every page becomes its image under the text that is read."""


class HeaderChoice(StrEnum):
    """Handling of running headers, footers and page numbers in text formats."""

    DROP = "drop"
    """Left out; JSON and the report have them."""
    KEEP = "keep"
    """Written in their place; comments in Markdown and LaTeX."""


@dataclass(frozen=True)
class PageOptions:
    """Options of converting a page.

    Attributes:
        ocr: When it is read from its picture.
        pictures: Whether pictures are cut out.
        hyphens: What becomes of words that are split at the ends of lines.
        formulas: Whether displayed formulas are read from their picture, unless nothing is.
        layout: What an image holds; not ``line``, which has no pages.
        reading: Model, device and the like, for pages that are read from their picture.
    """

    ocr: OcrChoice = OcrChoice.AUTO
    formulas: FormulaChoice = FormulaChoice.LATEX
    pictures: bool = True
    hyphens: HyphenChoice = HyphenChoice.KEEP
    layout: LayoutMode = LayoutMode.AUTO
    reading: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class BatchOptions:
    """Processes and time limits of a batch.

    Attributes:
        jobs: Processes; 0 takes as many as there are cores.
        page_timeout: Seconds after which a page is given up; 0 for never.

    Raises:
        UsageError: A value is out of its range.
    """

    jobs: int = 0
    page_timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        if self.jobs < 0:
            raise UsageError(f"--jobs must be 0 or more, not {self.jobs}")
        if self.page_timeout < 0:
            raise UsageError(f"--page-timeout must be 0 or more, not {self.page_timeout:g}")


@dataclass(frozen=True)
class WriteOptions:
    """How pages are written; formats pass over what does not concern them.

    Attributes:
        min_confidence: Words below it (0 to 1) are ``[?]`` in txt, md, tex and articles of html,
            ``"doubtful": true`` in json and jsonl, underlined beside pictures. The others always
            carry the confidences.
        tables: How tables are written in md.
        images: What becomes of figures in md, html and tex.
        image_folder: Folder of the files that figures were cut out to, as the output refers to it.
        keep_furniture: Whether running headers and footers are written, in md and tex as comments;
            ``None`` writes them only in formats that keep the lines of the pages.
        page_breaks: Whether md and tex tell where pages begin, by comments.
        front_matter: Whether md begins with title, author, pages and source, in YAML.
        text_layer: What becomes of the text layer that pages have, in pdf.
        as_printed: Whether formats other than running text (md, tex) keep the lines, running
            headers and page breaks of the pages.
    """

    min_confidence: float = 0.0
    tables: TableChoice = TableChoice.MD
    images: ImageChoice = ImageChoice.NONE
    image_folder: str = ""
    keep_furniture: bool | None = None
    page_breaks: bool = False
    front_matter: bool = False
    text_layer: TextLayerChoice = TextLayerChoice.KEEP
    as_printed: bool = False


PART = re.compile(r"(?P<first>\d+|end)?(?P<to>-)?(?P<last>\d+|end)?")
END = 10**9
"""Stands for the last page before it is known how many there are."""


@dataclass(frozen=True)
class PageSelection:
    """Ranges of pages, counted from 1, both ends included; no range means every page.

    Attributes:
        ranges: First and last page of each.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PageSelection:
        """Read what a user types.

        Args:
            text: Pages and ranges separated by commas; ``end`` is the last page, ``-3`` the first
                three, ``8-`` from the eighth on.

        Raises:
            UsageError: It is no such list, a range runs backwards, or there is a page 0.
        """
        return cls(tuple(_range(part.strip(), text) for part in text.split(",")))

    def of(self, count: int) -> list[int]:
        """Return the wanted pages of a document, in its own order, each once.

        Args:
            count: Pages of the document. Pages beyond it are passed over.
        """
        ends = [(count if a == END else a, min(b, count)) for a, b in self.ranges]
        wanted = {number for a, b in ends for number in range(a, b + 1)}
        return sorted(wanted) if self.ranges else list(range(1, count + 1))


def _range(part: str, text: str) -> tuple[int, int]:
    match = PART.fullmatch(part)
    if match is None or not (match["first"] or match["last"]):
        raise UsageError(f"--pages {text}: {part!r} is no page", "write it like 1,3-5,8-end")
    first = _number(match["first"]) if match["first"] else 1
    last = first
    if match["to"]:
        last = _number(match["last"]) if match["last"] else END
    if first < 1 or last < 1:
        raise UsageError(f"--pages {text}: pages are counted from 1")
    if last < first:
        raise UsageError(f"--pages {text}: {part} runs backwards")
    return first, last


def _number(text: str) -> int:
    return END if text == "end" else int(text)
