"""Published models known by name: repository, content that they read, licence.

Nothing here is fetched before a user asks for it. Revisions that are not pinned are branches: the
store notes the commit that it got and stays with it until the model is removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from ocrtool.errors import UsageError

Reads = Literal["lines", "pages", "formulas"]

HUB = "hf:"
"""What begins the name of any repository of the hub."""
_HUB_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


@dataclass(frozen=True)
class WeightSpec:
    """A published model.

    Attributes:
        name: What users call it.
        repository: ``owner/name`` on the hub.
        reads: What a picture that it takes holds.
        about: In a few words.
        parameters: Millions of them; None where that is not known for sure.
        license: SPDX name.
        commercial: Whether the licence allows commercial use.
        paper: Where it is described.
        revision: Branch, tag or commit.
        hashes: SHA-256 of files, where known for sure.
    """

    name: str
    repository: str
    reads: Reads
    about: str
    parameters: int | None
    license: str
    paper: str
    commercial: bool = True
    revision: str = "main"
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def memory(self) -> float | None:
        """Gigabytes that its numbers take in 32 bits, where their count is known."""
        return None if self.parameters is None else self.parameters * 4 / 1000


def _trocr(size: str, kind: str, parameters: int) -> WeightSpec:
    return WeightSpec(
        name=f"trocr-{size}-{kind}",
        repository=f"microsoft/trocr-{size}-{kind}",
        reads="lines",
        about=f"lines of {'print' if kind == 'printed' else kind} text",
        parameters=parameters,
        license="MIT",
        paper="arXiv:2109.10282",
    )


def _nougat(size: str, parameters: int) -> WeightSpec:
    return WeightSpec(
        name=f"nougat-{size}",
        repository=f"facebook/nougat-{size}",
        reads="pages",
        about="pages of English scientific papers, to Markdown",
        parameters=parameters,
        license="CC-BY-NC-4.0",
        commercial=False,
        paper="arXiv:2308.13418",
    )


TABLE: tuple[WeightSpec, ...] = (
    *(
        _trocr(size, kind, parameters)
        for size, parameters in (("small", 62), ("base", 334), ("large", 558))
        for kind in ("printed", "handwritten")
    ),
    _nougat("small", 247),
    _nougat("base", 350),
    WeightSpec(
        name="got-ocr2",
        repository="stepfun-ai/GOT-OCR-2.0-hf",
        reads="pages",
        about="pages of any kind, English and Chinese, to text or Markdown",
        parameters=580,
        license="Apache-2.0",
        paper="arXiv:2409.01704",
    ),
    WeightSpec(
        name="deepseek-ocr",
        repository="deepseek-ai/DeepSeek-OCR",
        reads="pages",
        about="pages of any kind, to Markdown with boxes; runs by our own network",
        parameters=3336,
        license="MIT",
        paper="arXiv:2510.18234",
    ),
    WeightSpec(
        name="deepocr",
        repository="pkulium/easy_deepocr",
        reads="pages",
        about="pages of any kind, to Markdown; runs by our own network, with deepseek-ocr's towers",
        parameters=8022,
        license="CC-BY-NC-SA-4.0",
        commercial=False,
        paper="github.com/pkulium/DeepOCR",
    ),
    WeightSpec(
        name="deepseek-ocr-2",
        repository="deepseek-community/DeepSeek-OCR-2",
        reads="pages",
        about="pages of any kind, to Markdown",
        parameters=None,
        license="Apache-2.0",
        paper="arXiv:2601.20552",
    ),
    WeightSpec(
        name="pp-formulanet",
        repository="PaddlePaddle/PP-FormulaNet_plus-L_safetensors",
        reads="formulas",
        about="formulas, to LaTeX",
        parameters=None,
        license="Apache-2.0",
        paper="arXiv:2503.18382",
    ),
)


@dataclass(frozen=True)
class Reference:
    """A model on the hub, as a user named it.

    Attributes:
        name: As it was given.
        repository: ``owner/name``.
        revision: Branch, tag or commit.
        spec: Its row of the table; None for any other repository.
    """

    name: str
    repository: str
    revision: str = "main"
    spec: WeightSpec | None = None


def refer(name: str) -> Reference | None:
    """Return the model of the hub that a name means; None where it means none.

    Args:
        name: Of a row of the table, or ``hf:owner/name``, or ``hf:owner/name@revision``.

    Raises:
        UsageError: It begins like a repository's name and is none.
    """
    named = next((spec for spec in TABLE if spec.name == name), None)
    if named is not None:
        return Reference(name, named.repository, named.revision, named)
    if not name.startswith(HUB):
        return None
    match = _HUB_NAME.fullmatch(name)
    if match is None or ".." in name:
        raise UsageError(
            f"{name!r} names no repository", "write hf:owner/name or hf:owner/name@tag"
        )
    repository, revision = match.group(1), match.group(2)
    spec = next((spec for spec in TABLE if spec.repository == repository), None)
    return Reference(name, repository, revision or (spec.revision if spec else "main"), spec)
