"""Engines that run a network: ONNX Runtime by default, PyTorch on request, behind one protocol.

Shapes: B rows (images), N image tokens (columns of a line, cells of a formula), T new text tokens,
P past ones, L decoder layers, G key and value heads, D the width of a head, V token ids.
"""

from __future__ import annotations

import json
import logging
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import MissingDependencyError, ModelError, UsageError, install_command
from ocrtool.models import DecoderConfig, ModelConfig
from ocrtool.options import ENGINES, EngineEntry, EngineName
from ocrtool.weights import BUNDLED, METADATA, TOKENIZER, Vocabulary

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SCHEMA = 1
"""Newest layout of ``model.json`` that is understood."""


@dataclass(frozen=True)
class ModelMetadata:
    """What ``model.json`` says of a model.

    Attributes:
        config: Geometry of the network.
        vocabulary: What it can write.
        raw: The whole file.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    raw: dict[str, Any]


def read_raw(folder: Path) -> dict[str, Any]:
    """Read ``model.json`` of a model folder of any kind.

    Raises:
        ModelError: It is missing, damaged, or of a newer ocrtool.
    """
    path = folder / METADATA
    try:
        raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if raw["schema"] > SCHEMA:
            raise ModelError(f"{folder} is of a newer ocrtool", "upgrade ocrtool")
    except OSError as error:
        raise ModelError(f"{folder}: no model there ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None
    return raw


def read_metadata(folder: Path) -> ModelMetadata:
    """Read what ``model.json`` says of a reader.

    Raises:
        ModelError: It is missing, damaged, of a newer ocrtool, or of no reader.
    """
    path = folder / METADATA
    raw = read_raw(folder)
    if raw.get("kind") == "detector":
        raise ModelError(f"{folder} finds text and cannot read it", "name a reader, such as line")
    try:
        config = ModelConfig.from_dict(raw["config"])
        vocabulary = _read_vocabulary(folder, raw)
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None
    if len(vocabulary) != config.vocab_size:
        raise ModelError(
            f"{path} is damaged: {len(vocabulary)} token ids, the network has {config.vocab_size}"
        )
    return ModelMetadata(config, vocabulary, raw)


def _read_vocabulary(folder: Path, raw: dict[str, Any]) -> Vocabulary:
    if "tokenizer" not in raw:
        return Vocabulary.from_json(raw["tokens"] if "tokens" in raw else raw["characters"])
    from ocrtool.weights.bpe import BpeVocabulary

    source = (folder / TOKENIZER).read_text("utf-8")
    return BpeVocabulary.from_tokenizer(source, raw["tokenizer"]["separator"])


def find_model(model: str | Path) -> Path:
    """Return the folder of a model: a path, or the name of a bundled one.

    Raises:
        ModelError: There is no such model.
    """
    folder = Path(model)
    if (folder / METADATA).is_file():
        return folder
    if (BUNDLED / model / METADATA).is_file():
        return BUNDLED / model
    known = ", ".join(sorted(path.parent.name for path in BUNDLED.glob(f"*/{METADATA}")))
    raise ModelError(
        f"no model {str(model)!r}",
        f"name a folder with {METADATA}" + (f", or a bundled model: {known}" if known else ""),
    )


class CacheStore(Protocol):
    """Where an engine keeps keys and values: in the host's memory or a GPU's.

    What it keeps are arrays (L, B, G, P, D) of a kind of its own; whoever decodes passes them on.
    """

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Return room for what ``append`` will write: rows without entries."""

    def take(self, array: Any, rows: IntArray, end: int) -> Any:
        """Return the first ``end`` entries of the given rows, which may repeat, as a new array."""

    def append(self, array: Any, new: Any, lengths: IntArray) -> Any:
        """Write new entries (L, B, G, T, D) behind the ``lengths`` (B,) of the rows.

        Returns:
            The array that now holds them, which may be another one.
        """


class HostStore:
    """NumPy arrays, preallocated."""

    def empty(self, shape: tuple[int, ...]) -> FloatArray:
        """See `CacheStore.empty`."""
        return np.zeros(shape, np.float32)

    def take(self, array: FloatArray, rows: IntArray, end: int) -> FloatArray:
        """See `CacheStore.take`."""
        # In the order of its axes, or each step of the decoder would copy it.
        return np.take(array[:, :, :, :end], rows, axis=1)

    def append(self, array: FloatArray, new: FloatArray, lengths: IntArray) -> FloatArray:
        """See `CacheStore.append`."""
        for row, start in enumerate(lengths.tolist()):
            array[:, row, :, start : start + new.shape[3]] = new[:, row]
        return array


HOST = HostStore()


class Encoded(NamedTuple):
    """A batch of images as the decoder sees it.

    Attributes:
        cross_keys: (L, B, G, N, D), keys of the image tokens; where the image is a prefix, of image
            tokens and prompt. An array of the engine's `CacheStore`.
        cross_values: Likewise.
        lengths: (B,) int64, tokens of each row that are image (and prompt).
        ctc_log_probs: (B, N * frames, V) float32, natural logarithms; None without a CTC head.
        frames_a_token: CTC frames of an image token; 1 without a CTC head.
        store: Where keys and values are.
    """

    cross_keys: Any
    cross_values: Any
    lengths: IntArray
    ctc_log_probs: FloatArray | None
    frames_a_token: int = 1
    store: CacheStore = HOST

    @property
    def frames(self) -> IntArray:
        """(B,) int64, CTC frames of each row; its tokens where there is no CTC head."""
        return self.lengths * self.frames_a_token

    def select(self, rows: IntArray) -> Encoded:
        """Return the given rows, in that order, cut to the longest of them; rows may repeat."""
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        log_probs = self.ctc_log_probs
        if log_probs is not None:
            log_probs = log_probs[rows, : longest * self.frames_a_token]
        return self._replace(
            cross_keys=self.store.take(self.cross_keys, rows, longest),
            cross_values=self.store.take(self.cross_values, rows, longest),
            lengths=lengths,
            ctc_log_probs=log_probs,
        )


class EngineCache:
    """Keys and values of the tokens that the decoder has read: the twin of ``models.KVCache``.

    Entries of row b beyond ``lengths[b]`` are stale: the network masks them and ``append``
    overwrites them. So to take a draft back is to shorten a length.

    Attributes:
        keys: (L, B, G, P, D), an array of ``store``.
        values: Likewise.
        lengths: (B,) int64, tokens held of each row.
        capacity: Tokens that a row may hold.
        store: Where keys and values are.
    """

    def __init__(
        self, keys: Any, values: Any, lengths: IntArray, capacity: int, store: CacheStore = HOST
    ) -> None:
        """Wrap existing arrays; ``allocate`` makes an empty cache."""
        self.keys = keys
        self.values = values
        self.lengths = lengths
        self.capacity = capacity
        self.store = store

    @classmethod
    def allocate(cls, config: DecoderConfig, batch: int, store: CacheStore = HOST) -> EngineCache:
        """Return an empty cache for ``batch`` rows of up to ``config.max_length`` tokens."""
        shape = (config.n_layer, batch, config.n_kv_head, config.max_length, config.d_head)
        lengths = np.zeros(batch, np.int64)
        return cls(store.empty(shape), store.empty(shape), lengths, config.max_length, store)

    @property
    def longest(self) -> int:
        """The greatest of ``lengths``."""
        return int(self.lengths.max())

    def past(self) -> tuple[Any, Any]:
        """Return keys and values as views cut to the longest row, where the store has views."""
        end = self.longest
        return self.keys[:, :, :, :end], self.values[:, :, :, :end]

    def append(self, new_keys: Any, new_values: Any, steps: int) -> None:
        """Write new entries (L, B, G, T, D) of ``steps`` tokens behind each row's own end.

        Raises:
            ValueError: A row would outgrow the cache.
        """
        lengths = self.lengths
        self.advance(steps)
        self.keys = self.store.append(self.keys, new_keys, lengths)
        self.values = self.store.append(self.values, new_values, lengths)

    def advance(self, steps: int) -> None:
        """Note that every row has ``steps`` more tokens, wherever they were written.

        Raises:
            ValueError: A row would outgrow the cache.
        """
        if self.longest + steps > self.capacity:
            raise ValueError(f"{self.longest + steps} tokens do not fit a cache of {self.capacity}")
        self.lengths = self.lengths + steps

    def truncate(self, lengths: IntArray) -> None:
        """Forget what lies beyond ``lengths`` (B,); a row shorter than that stays as it is."""
        self.lengths = np.minimum(self.lengths, lengths)

    def reorder(self, rows: IntArray) -> None:
        """Make row i a copy of the present row ``rows[i]``; fewer or more rows may result."""
        self.keys = self.store.take(self.keys, rows, self.capacity)
        self.values = self.store.take(self.values, rows, self.capacity)
        self.lengths = self.lengths[rows]


class Engine(Protocol):
    """A network that runs: ONNX Runtime or PyTorch, the same numbers within rounding.

    Attributes:
        name: ``onnx`` or ``torch``.
        device: What really runs it: ``cpu`` or ``cuda:N``.
        metadata: The model's geometry, alphabet and everything else on record.
    """

    name: str
    device: str
    metadata: ModelMetadata

    @property
    def store(self) -> CacheStore:
        """Where it keeps keys and values."""

    def encode(self, pixels: FloatArray, sizes: IntArray) -> Encoded:
        """Encode images.

        Args:
            pixels: (B, C, H, W) as :mod:`ocrtool.preprocess.lines` makes them.
            sizes: Pixels of each row that are image: widths (B,), of a ``formula`` model heights
                and widths (B, 2).
        """

    def step(self, tokens: IntArray, encoded: Encoded, cache: EngineCache) -> FloatArray:
        """Read tokens (B, T) behind the cache, which grows by T a row.

        Returns:
            (B, T, V), scores of the token after each of ``tokens``.
        """


DEFAULT_MODEL = "line"
"""Name of the bundled model that is opened by default."""

logger = logging.getLogger(__name__)


def open_engine(
    model: str | Path | None = None,
    engine: str = EngineName.AUTO,
    device: str = "auto",
    threads: int = 0,
) -> Engine:
    """Open a model on the engine and device that are asked for, or that suit it.

    Args:
        model: Name of a bundled model or path of a model folder; None for the bundled reader.
        engine: Name of the engine; ``auto`` takes the first of `ocrtool.options.ENGINES` for which
            the folder holds files.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to the engine.

    Raises:
        UsageError: The engine is none that runs models.
        ModelError: There is no such model, it is damaged, or not of the kind the engine runs.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    if engine == EngineName.TESSERACT:
        raise UsageError("Tesseract runs no models of ours", "it is for ocrtool read and pdf")
    folder = find_model(DEFAULT_MODEL if model is None else model)
    if engine == EngineName.AUTO:
        usable = [one for one in ENGINES.values() if _has_files(folder, one)]
        entry = usable[0] if usable else ENGINES[EngineName.ONNX]
        reason = f"the model has {entry.content}"
    else:
        entry, reason = ENGINES[engine], "asked for"
    if not _has_files(folder, entry):
        raise ModelError(f"{folder} has no {entry.content}", entry.remedy)
    opened = _open(entry, folder, device, threads)
    logger.info(
        "%s: engine %s (%s), device %s (%s)",
        folder.name,
        opened.name,
        reason,
        opened.device,
        "asked for" if device != "auto" else "first that can be used",
    )
    return opened


def _has_files(folder: Path, entry: EngineEntry) -> bool:
    return all((folder / name).is_file() for name in entry.files)


def _open(entry: EngineEntry, folder: Path, device: str, threads: int) -> Engine:
    try:
        opener = pkgutil.resolve_name(entry.opener)
    except ModuleNotFoundError as error:
        if not entry.extra or (error.name or "").startswith("ocrtool"):
            raise
        raise MissingDependencyError(
            f"the engine {entry.name} needs {error.name}", install_command(entry.extra)
        ) from None
    return cast(Engine, opener(folder, device, threads))


Read = TypeVar("Read")

SIGNS = ("out of memory", "allocate memory", "alloc_failed", "bad_alloc", "available memory of")
"""What PyTorch, ONNX Runtime and CUDA's libraries say, in lower case."""

logger = logging.getLogger(__name__)


def lacks_memory(error: Exception) -> bool:
    """Tell whether an engine failed because memory ran out; engines have no common class for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in SIGNS)


def split_on_oom(read: Callable[[list[int]], list[Read]], batch: list[int]) -> list[Read]:
    """Read a batch, or its halves where memory does not suffice, down to single things.

    Args:
        read: Reads the things of these numbers.
        batch: All of them.

    Raises:
        Exception: What ``read`` raises, of a single thing or for any other reason.
    """
    try:
        return read(batch)
    except Exception as error:
        if len(batch) == 1 or not lacks_memory(error):
            raise
        logger.info("out of memory with %d in a batch: halved", len(batch))
    # Not within the handler: the error holds what the failed batch had allocated.
    middle = len(batch) // 2
    return split_on_oom(read, batch[:middle]) + split_on_oom(read, batch[middle:])
