"""Published readers, run by `transformers`: TrOCR, Nougat, GOT-OCR2 and others of their kinds.

What a model is, its own ``config.json`` tells: an architecture is supported, not a name. Nothing is
run that came with the weights: no remote code, no pickles. Needs the extra ``[hub]``.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.readings import LineResult
from ocrtool.errors import MissingDependencyError, ModelError
from ocrtool.options import ReadOptions
from ocrtool.readers.line_results import SinglePassReader, char_probabilities, plain_result
from ocrtool.readers.model_lookup import CONFIG
from ocrtool.readers.repetition import LoopGuard
from ocrtool.weights.registry import Reads

Image = NDArray[np.uint8]

TOGETHER = 8
"""Lines that are read in one batch."""
LONGEST = 4096
"""Tokens of a page, where its model does not say how many it can write."""
NEEDED = ("torch", "transformers", "safetensors", "tokenizers")
"""Packages of the extra."""
LOOP_CONFIDENCE = 0.1
"""Most that a text may have that went round in circles."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelKind:
    """How an architecture is asked to read.

    Attributes:
        reads: What its pictures hold.
        asked: ``picture`` alone; ``format``: the processor makes the prompt; ``chat``: by its
            chat template.
        prompt: What a chat says beside the picture.
        nougat: Whether Nougat's rules hold: a text that is stuck ends, and no token is unknown.
    """

    reads: Reads
    asked: Literal["picture", "format", "chat"] = "picture"
    prompt: str = ""
    nougat: bool = False


KINDS: dict[str, ModelKind] = {
    "VisionEncoderDecoderModel/trocr": ModelKind("lines"),
    "VisionEncoderDecoderModel/nougat": ModelKind("pages", nougat=True),
    "GotOcr2ForConditionalGeneration": ModelKind("pages", "format"),
    "PPFormulaNetForConditionalGeneration": ModelKind("formulas"),
    "DeepseekOcr2ForConditionalGeneration": ModelKind("pages", "chat", "Free OCR."),
    "LightOnOcrForConditionalGeneration": ModelKind("pages", "chat"),
    "GlmOcrForConditionalGeneration": ModelKind("pages", "chat", "Text Recognition:"),
    "PaddleOCRVLForConditionalGeneration": ModelKind("pages", "chat", "OCR:"),
}
"""Architectures; of pairs of an encoder and a decoder, with what tells them apart."""


@dataclass(frozen=True)
class Written:
    """What a network wrote.

    Attributes:
        text: Without special tokens.
        letters: Probability of each character of it, as the network sees it.
        loops: Whether it went round in circles, and was stopped.
    """

    text: str
    letters: tuple[float, ...]
    loops: bool = False

    @property
    def mean_char_confidence(self) -> float:
        """Geometric mean of the characters' probabilities."""
        logs = [math.log(max(p, 1e-30)) for p in self.letters]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0


def kind_of(folder: Path) -> ModelKind:
    """Tell how the model in a folder is asked to read.

    Raises:
        ModelError: It is damaged, or of an architecture that reads no text.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        name = str((config.get("architectures") or ["?"])[0])
        if name == "VisionEncoderDecoderModel":
            decoder = str(config["decoder"]["model_type"])
            name += "/" + ("nougat" if _is_nougat(folder) else decoder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder / CONFIG} is damaged: {error}") from None
    if name not in KINDS:
        known = ", ".join(key.removesuffix("ForConditionalGeneration") for key in KINDS)
        raise ModelError(f"{folder}: architecture {name} is not supported", f"known are {known}")
    return KINDS[name]


def _is_nougat(folder: Path) -> bool:
    """Nougat and Donut are made of the same parts; what prepares their pictures is not."""
    names = ("processor_config.json", "preprocessor_config.json")
    texts = [(folder / name).read_text("utf-8") for name in names if (folder / name).is_file()]
    return any('"Nougat' in text for text in texts)


class Published:
    """A published network and what prepares its pictures.

    Args:
        folder: Of the model, in the layout of `transformers`.
        kind: Of its architecture.
        options: Device and threads.

    Raises:
        ModelError: Files are missing, damaged, or do not fit each other.
        MissingDependencyError: The model needs a package that is not there.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(self, folder: Path, kind: ModelKind, options: ReadOptions) -> None:
        import torch
        import transformers

        from ocrtool.engines.torch import device_of

        library: Any = transformers  # parts of which have no types
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
        self.kind = kind
        self.name = folder.name
        self.device = device_of(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        half = self.device != "cpu" and torch.cuda.is_bf16_supported()
        try:
            self.processor: Any = library.AutoProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model: Any = library.AutoModelForImageTextToText.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.bfloat16 if half else torch.float32,
            )
        except ImportError as error:
            needed = re.search(r"requires the (\S+) library", str(error))
            package = needed[1].lower() if needed else "more packages"
            raise MissingDependencyError(
                f"{folder.name} needs {package}", f"pip install {package}"
            ) from None
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{folder} cannot be loaded: {reason}") from None
        self.model: Any = model.to(self.device).eval()
        self.tokenizer: Any = getattr(self.processor, "tokenizer", self.processor)

    @property
    def reads(self) -> Reads:
        """What its pictures hold."""
        return self.kind.reads

    @property
    def longest(self) -> int:
        """Tokens that it may write."""
        config = self.model.generation_config
        given = config.max_new_tokens or (config.max_length if config.max_length != 20 else 0)
        decoder = getattr(self.model.config, "decoder", None)
        room = getattr(decoder, "max_position_embeddings", None)
        return int(min(given or LONGEST, (room or LONGEST + 1) - 1))

    def write(self, pictures: Sequence[Image]) -> list[Written]:
        """Let the network write what pictures say, always the likeliest next token.

        Args:
            pictures: (H, W) grey or (H, W, 3) RGB, uint8.
        """
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        inputs = self._inputs(pictures).to(self.device, dtype=self.model.dtype)
        recorder = _Recorder(self.kind.nougat)
        guard = LoopGuard(recorder.peaks_of if self.kind.nougat else None)
        unknown = self.tokenizer.unk_token_id if self.kind.nougat else None
        with torch.inference_mode():
            written = self.model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                max_new_tokens=self.longest,
                bad_words_ids=None if unknown is None else [[unknown]],
                logits_processor=LogitsProcessorList([recorder]),
                stopping_criteria=StoppingCriteriaList([guard]),
            )
        steps = len(recorder.probabilities)
        probabilities = torch.stack(recorder.probabilities, 1).tolist()
        return [
            self._written(ids, sure, guard.found.get(row))
            for row, (ids, sure) in enumerate(
                zip(written[:, -steps:].tolist(), probabilities, strict=True)
            )
        ]

    def _inputs(self, pictures: Sequence[Image]) -> Any:
        from PIL import Image as Pictures

        images = [Pictures.fromarray(picture).convert("RGB") for picture in pictures]
        if self.kind.asked == "picture":
            return self.processor(images=images, return_tensors="pt")
        if self.kind.asked == "format":
            return self.processor(images=images, format=True, return_tensors="pt")
        said = [{"type": "text", "text": self.kind.prompt}] if self.kind.prompt else []
        chats = [
            [{"role": "user", "content": [{"type": "image", "image": image}, *said]}]
            for image in images
        ]
        return self.processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )

    def _written(self, ids: list[int], sure: list[float], loop: int | None) -> Written:
        special = set(self.tokenizer.all_special_ids)
        ends = {self.tokenizer.eos_token_id, self.model.generation_config.eos_token_id}
        count = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        if loop is not None:
            count = min(count, loop)
        ids = ids[:count]
        text = self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        kept = [(i, p) for i, p in zip(ids, sure, strict=False) if i not in special]
        names = self.tokenizer.convert_ids_to_tokens([token for token, _ in kept])
        pieces = [(name or "?", p) for name, (_, p) in zip(names, kept, strict=True)]
        return Written(text, tuple(char_probabilities(text, pieces)), loop is not None)


class _Recorder:
    """Notes how sure the network is of each token that it takes; changes nothing.

    Args:
        peaking: Whether the largest logits are noted, too.
    """

    def __init__(self, peaking: bool) -> None:
        self.peaking = peaking
        self.probabilities: list[Any] = []
        self.peaks: list[Any] = []

    def __call__(self, _: Any, scores: Any) -> Any:
        self.probabilities.append(scores.float().softmax(-1).amax(-1).cpu())
        if self.peaking:
            self.peaks.append(scores.float().amax(-1).cpu())
        return scores

    def peaks_of(self, row: int) -> list[float]:
        """Return the largest logit of each token of a row."""
        return [float(peaks[row]) for peaks in self.peaks]


class PublishedLines(SinglePassReader):
    """Reads lines with a published network.

    Args:
        network: One that reads lines.
        options: Least confidence.
    """

    def __init__(self, network: Published, options: ReadOptions) -> None:
        self.network = network
        self.options = options

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines, in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while batch := list(itertools.islice(stream, TOGETHER)):
            written = self.network.write([image for _, image in batch])
            for (source, _), said in zip(batch, written, strict=True):
                letters = said.letters
                if said.loops and letters:
                    letters = (min(LOOP_CONFIDENCE, letters[0]), *letters[1:])
                text = "".join(" " if letter.isspace() else letter for letter in said.text)
                yield plain_result(source, text, letters, self.options.min_confidence)


def open_published(folder: Path, options: ReadOptions) -> Published:
    """Open a published model.

    Raises:
        ModelError: It is damaged, or of an architecture that is not supported.
        MissingDependencyError: The extra is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    kind = kind_of(folder)
    with needing_torch():
        return Published(folder, kind, options)


@contextmanager
def needing_torch() -> Iterator[None]:
    """Tell of the extra where what published models need is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in NEEDED:
            raise
        raise MissingDependencyError(
            f"published models need {error.name}", "pip install 'ocrtool[hub]'"
        ) from None
