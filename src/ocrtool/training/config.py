"""What a training run is made of: one frozen dataclass, read from flags and a JSON file.

The JSON file is one flat object. Its keys are the fields of :class:`TrainOptions`, among them
figures of the network (``img_size``, ``patch``, ``vision_d_model``, ...), which replace those of
the preset. A flag wins over the file. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ocrtool.errors import InputError, UsageError
from ocrtool.models.config import ModelConfig
from ocrtool.models.presets import preset as network_preset

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
OPTIMIZERS = ("adamw", "muon")
SYNTHETIC = {"lines": "line", "formulas": "formula"}
"""What the data engine draws, and the preset that learns from it where none is named."""
TOKENS = ("characters", "latex")
LATEX_NETWORKS = ("formula", "equation-vlm", "equation-vlm-small")
"""Presets whose texts are formulas."""
VISION_FIGURES = ("patch", "vision_d_model", "vision_layers", "vision_heads", "vision_d_ff")
DECODER_FIGURES = (
    "decoder_d_model",
    "decoder_layers",
    "decoder_heads",
    "decoder_kv_heads",
    "decoder_d_ff",
    "use_gqa",
    "use_swiglu",
    "rope_theta",
)
RECIPES = Path(__file__).parent / "recipes"
"""Configurations for the networks that are bundled; ``--config line`` names one."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class TrainOptions:
    """Everything that ``ocrtool train`` can be told.

    Args:
        data: CSV files with the columns ``image`` and ``text``; paths are relative to the CSV.
        validation: CSV of the validation set, or a folder of typeset formulas; without it a share
            of the data is held out.
        validation_share: Share of `data` (0 to 1) that is held out, drawn by `seed`.
        validation_size: Images held out when training on drawn ones.
        strict: Refuse a data set with unusable rows instead of skipping them.
        synth: ``lines`` or ``formulas`` trains on what the data engine draws without end; ``lines``
            may stand beside `data`.
        mix: With `data` and drawn lines: share of the samples (0 to 1) that is drawn.
        formulas: Folders of typeset formulas (``python -m ocrtool.synth.formulas``) that the data
            engine draws from.
        fonts: Font files or folders of the data engine; without any, the bundled ones.
        text: Text files that the data engine draws from.
        alphabet: Characters to learn; without it those of the data (or of the data engine).
        tokens: What a text is made of: ``characters``, or ``latex``, which brings formulas to one
            normal form and cuts them into commands and characters. ``None`` is ``latex`` for the
            presets that read formulas and ``characters`` otherwise.
        max_tokens: Longest text to learn from, in characters or tokens; longer ones are left out.
        curriculum: Short texts first: pairs of a share of the run and the longest text from there
            on, such as ``[[0, 24], [0.25, 60]]``.
        out: Folder of the run: ``last/``, ``best/``, ``log.jsonl``, ``curves.png``.
        resume: Go on with the run in `out`, exactly where it stopped.
        overwrite: Start anew in a folder that holds a run.
        start_from: Model to fine-tune: a bundled name or a model folder (``--from``).
        vision_from: Published ViT to start the vision encoder from: a folder, or a name on the hub
            of models, such as ``google/vit-base-patch16-224``; it gives the encoder's geometry.
        decoder_from: Published Llama to start the decoder from, such as
            ``HuggingFaceTB/SmolLM-135M``; it gives the decoder's geometry and the vocabulary.
        draw: Write a picture of this many drawn samples to `out` and stop.
        preset: Network preset; ``None`` is ``line`` for drawn lines, ``formula`` for drawn formulas
            and ``tiny`` otherwise.
        img_size: Side of the square image, height of a line, or greatest height of a formula, in
            pixels.
        patch: Side of a patch (columns of the ``line`` encoder) in pixels.
        vision_d_model: Width of the vision encoder.
        vision_layers: Blocks of the vision encoder.
        vision_heads: Attention heads of the vision encoder.
        vision_d_ff: Hidden width of the vision encoder's MLP.
        vision_stem: Channels of the convolution stem of ``line`` and ``formula``.
        decoder_d_model: Width of the decoder.
        decoder_layers: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        decoder_kv_heads: Key and value heads of the decoder (grouped-query attention).
        decoder_d_ff: Hidden width of the decoder's MLP.
        dropout: Dropout of encoder and decoder.
        use_gqa: Grouped-query attention: half as many key and value heads as heads.
        use_swiglu: SwiGLU instead of GELU in the decoder's MLP.
        use_flash: Fused instead of plain attention.
        rope_theta: Base of the rotary position embedding.
        max_length: Longest token sequence with BOS; longer texts are reported and left out.
        vocab_size: Accepted from a configuration; the data's own count is what is used.
        batch_size: Images (of average width) a batch and process.
        accumulation: Batches whose gradients make one step.
        learning_rate: Peak learning rate; ``None`` takes the preset's.
        final_learning_rate: Share of the peak that is left at the end of the cosine.
        warmup: Steps of linear warm-up; it ends with a tenth of the run at the latest.
        weight_decay: Decoupled decay; norms, biases and embeddings have none.
        optimizer: ``adamw``, or ``muon``: Muon for matrices, AdamW for everything else.
        beta2: AdamW's second-moment decay.
        clip: Largest norm of the gradient.
        label_smoothing: Share of the target spread over all characters.
        token_noise: Share of the decoder's input characters replaced by random ones.
        guidance: Weight of the loss that teaches the decoder where to look, where the samples tell
            where their signs stand (drawn formulas do).
        ctc_weight: Weight of the CTC loss where the network has a CTC head.
        decoder_weight: Weight of the decoder's cross-entropy beside CTC.
        ema: Decay of the averaged weights, which are validated and saved; 0 turns averaging off.
        steps: Steps of the whole run.
        epochs: Passes over the data of the whole run.
        max_minutes: Minutes of the whole run, resumed parts included.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16`` (CUDA only).
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to PyTorch.
        workers: Processes that load or draw images; 0 does it in the main process.
        compile: Compile the network with ``torch.compile``.
        seed: Of everything random.
        log_every: Steps between two records of the log.
        validate_every: Steps between two validations.
        save_minutes: Minutes between two saves of ``last/`` outside of validations.

    Raises:
        UsageError: A value is out of its range, or two options contradict each other.
    """

    # Data.
    data: tuple[Path, ...] = ()
    validation: Path | None = None
    validation_share: float = 0.1
    validation_size: int = 1024
    strict: bool = False
    synth: str | None = None
    mix: float = 0.5
    formulas: tuple[Path, ...] = ()
    fonts: tuple[Path, ...] = ()
    text: tuple[Path, ...] = ()
    alphabet: str | None = None
    tokens: str | None = None
    max_tokens: int | None = None
    curriculum: tuple[tuple[float, ...], ...] = ()
    # The run.
    out: Path = Path("run")
    resume: bool = False
    overwrite: bool = False
    start_from: str | None = None
    vision_from: str | None = None
    decoder_from: str | None = None
    draw: int = 0
    # The network: what differs from the preset.
    preset: str | None = None
    img_size: int | None = None
    patch: int | None = None
    vision_d_model: int | None = None
    vision_layers: int | None = None
    vision_heads: int | None = None
    vision_d_ff: int | None = None
    vision_stem: tuple[int, ...] | None = None
    decoder_d_model: int | None = None
    decoder_layers: int | None = None
    decoder_heads: int | None = None
    decoder_kv_heads: int | None = None
    decoder_d_ff: int | None = None
    dropout: float | None = None
    use_gqa: bool | None = None
    use_swiglu: bool | None = None
    use_flash: bool | None = None
    rope_theta: float | None = None
    max_length: int | None = None
    vocab_size: int | None = None
    # Optimisation.
    batch_size: int = 64
    accumulation: int = 1
    learning_rate: float | None = None
    final_learning_rate: float = 0.01
    warmup: int = 500
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    beta2: float = 0.98
    clip: float = 1.0
    label_smoothing: float = 0.0
    token_noise: float = 0.05
    guidance: float = 0.0
    ctc_weight: float = 1.0
    decoder_weight: float = 0.5
    ema: float = 0.999
    # How long.
    steps: int | None = None
    epochs: float | None = None
    max_minutes: float | None = None
    # How.
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    compile: bool = False
    seed: int = 42
    log_every: int = 50
    validate_every: int = 1000
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.synth is not None and self.synth not in SYNTHETIC:
            raise UsageError(f"--synth knows {', '.join(SYNTHETIC)}, not {self.synth!r}")
        if self.synth == "formulas" and self.data:
            raise UsageError(
                "--synth formulas draws its own data", "give either CSV files or --synth formulas"
            )
        if self.synth is None and not self.data:
            raise UsageError("nothing to train on", "give CSV files, or --synth lines")
        if self.synth != "lines" and (self.fonts or self.text):
            raise UsageError("--fonts and --text belong to --synth lines")
        if self.synth != "formulas" and self.formulas:
            raise UsageError("--formulas belongs to --synth formulas")
        if self.synth == "formulas" and not self.formulas:
            raise UsageError(
                "--synth formulas draws from typeset formulas",
                "make some with python -m ocrtool.synth.formulas and name them with --formulas",
            )
        if self.synth is not None and self.epochs is not None:
            raise UsageError(f"drawn {self.synth} have no epochs", "use --steps or --max-minutes")
        if self.tokens not in (None, *TOKENS):
            raise UsageError(f"--tokens knows {', '.join(TOKENS)}, not {self.tokens!r}")
        if self.latex and self.alphabet is not None:
            raise UsageError("--alphabet is of characters, formulas are made of LaTeX tokens")
        if self.synth is not None and self.latex != (self.synth == "formulas"):
            raise UsageError(
                f"--synth {self.synth} is not what this network reads",
                "lines go with --tokens characters, formulas with --tokens latex",
            )
        self._check_curriculum()
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"optimizer is one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.precision not in PRECISIONS:
            raise UsageError(f"--precision is one of {', '.join(PRECISIONS)}")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite contradict each other")
        if self.resume and self.start_from is not None:
            raise UsageError("--resume and --from contradict each other")
        self._check_parts()
        positive = ("validation_size", "batch_size", "accumulation", "log_every", "validate_every")
        ends = ("steps", "epochs", "max_minutes")
        for name in (*positive, *ends, "learning_rate", "max_length", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0, not {value}")
        for name in (
            "workers",
            "threads",
            "warmup",
            "weight_decay",
            "clip",
            "guidance",
            "draw",
            "save_minutes",
        ):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        shares = (
            "validation_share",
            "label_smoothing",
            "token_noise",
            "ema",
            "dropout",
            "beta2",
            "mix",
        )
        for name in shares:
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < 1.0:
                raise UsageError(f"{name} must lie in 0 to below 1, not {value}")

    def _check_parts(self) -> None:
        for flag, source, figures in (
            ("--vision-from", self.vision_from, VISION_FIGURES),
            ("--decoder-from", self.decoder_from, DECODER_FIGURES),
        ):
            if source is None:
                continue
            if self.resume or self.start_from is not None:
                other = "--resume" if self.resume else "--from"
                raise UsageError(f"{other} and {flag} contradict each other")
            for name in figures:
                if getattr(self, name) is not None:
                    raise UsageError(f"{name} is fixed by {flag}", "leave it out")
        if self.decoder_from is not None and self.alphabet is not None:
            raise UsageError("--alphabet and --decoder-from, which has its own, contradict")

    def _check_curriculum(self) -> None:
        shares = [stage[0] for stage in self.curriculum if len(stage) == 2]
        if len(shares) < len(self.curriculum):
            raise UsageError("a stage of the curriculum is a share of the run and a longest text")
        if shares and (shares[0] != 0 or shares != sorted(set(shares)) or shares[-1] >= 1):
            raise UsageError(f"shares of the curriculum must rise from 0 to below 1, not {shares}")
        if any(stage[1] < 1 or stage[1] % 1 for stage in self.curriculum):
            raise UsageError("longest texts of the curriculum are whole numbers above 0")

    @property
    def network(self) -> str:
        """Name of the network preset."""
        return self.preset or SYNTHETIC.get(self.synth or "", "tiny")

    @property
    def latex(self) -> bool:
        """Whether texts are formulas, made of LaTeX tokens."""
        return self.tokens == "latex" or (self.tokens is None and self.network in LATEX_NETWORKS)

    def longest(self, progress: float) -> int:
        """Return the longest text, in characters or tokens, at a share of the run; 0 for any."""
        limits = [self.max_tokens] if self.max_tokens else []
        limits += [int(stage[1]) for stage in self.curriculum if stage[0] <= progress][-1:]
        return min(limits, default=0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: what was chosen, defaults left out, paths absolute."""
        return chosen(self)


def make_options(flags: Mapping[str, Any], config: Path | None = None) -> TrainOptions:
    """Options from flags over a configuration file over the defaults.

    A run that is resumed has its options from ``options.json`` in its folder, so that ``resume``
    and ``out`` are all that need be given.

    Args:
        flags: Fields of :class:`TrainOptions`; ``None`` means that a flag was not given.
        config: JSON file; its relative paths are relative to itself.

    Raises:
        InputError: The file cannot be read.
        UsageError: An unknown key (the nearest known one is named) or a value of a wrong kind.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    for name in ("lora", "tune_vision", "recompute"):
        if name in given:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is for training in stages", "give --stage, or leave it out")
    values = saved_options(given, TrainOptions)
    if values:
        for name in ("start_from", "vision_from", "decoder_from"):
            values.pop(name, None)  # done by the run's first start
        if "synth" in given or "data" in given:  # a new source of data replaces the old one
            values = {k: v for k, v in values.items() if k not in ("synth", "data", "formulas")}
    if config is not None:
        values.update(read_config(config))
    return TrainOptions(**{**values, **given})


def saved_options(given: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the fields of ``kind`` that the run had which flags resume; empty for a new run."""
    saved = Path(given.get("out", TrainOptions.out)) / OPTIONS
    if not (given.get("resume") and saved.is_file()):
        return {}
    values = read_config(saved, kind)
    values.pop("overwrite", None)
    return values


def read_config(path: Path, kind: type = TrainOptions) -> dict[str, Any]:
    """Read the fields of a dataclass that a JSON file, or a bundled recipe, sets.

    Raises:
        InputError: The file cannot be read.
        UsageError: An unknown key (the nearest known one is named) or a value of a wrong kind.
    """
    recipe = RECIPES / f"{path.name}.json"
    if not path.is_file() and path.name == str(path) and recipe.is_file():
        path = recipe
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must hold one JSON object")
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in content.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
            raise UsageError(f"{path}: unknown key {key!r}", f"did you mean {near[0]!r}?")
        try:
            values[key] = _from_json(value, hints[key], path.parent)
        except TypeError as error:
            raise UsageError(f"{path}: {key}: {error}") from None
    return values


def model_config(options: TrainOptions, vocab_size: int) -> ModelConfig:
    """The network that the options describe: the preset with single figures changed.

    Raises:
        UsageError: No such preset, or figures that do not fit each other.
    """
    base = network_preset(options.network)
    vision = _changed(
        base.vision,
        patch=options.patch,
        d_model=options.vision_d_model,
        n_layer=options.vision_layers,
        n_head=options.vision_heads,
        d_ff=options.vision_d_ff,
        stem=options.vision_stem,
        dropout=options.dropout,
        height=options.img_size,
        width=options.img_size if base.vision.kind == "vit" else None,
    )
    heads = options.decoder_heads or base.decoder.n_head
    kv_heads = options.decoder_kv_heads
    if kv_heads is None and options.use_gqa is not None:
        kv_heads = max(1, heads // 2) if options.use_gqa else heads
    if kv_heads is None and options.decoder_heads is not None:
        kv_heads = heads
    decoder = _changed(
        base.decoder,
        d_model=options.decoder_d_model,
        n_layer=options.decoder_layers,
        n_head=options.decoder_heads,
        n_kv_head=kv_heads,
        d_ff=options.decoder_d_ff,
        dropout=options.dropout,
        swiglu=options.use_swiglu,
        rope_theta=options.rope_theta,
        max_length=options.max_length,
    )
    changed = _changed(base, vision=vision, decoder=decoder, flash=options.use_flash)
    return dataclasses.replace(changed, vocab_size=vocab_size)


OPTIONS = "options.json"
"""Name of the file in the folder of a run that holds its options."""
NETWORK_FIELDS = ("img_size", "vision_stem", *VISION_FIGURES, *DECODER_FIGURES, "max_length")
"""Options that fix shapes: a model that is fine-tuned or resumed has them already."""

DEFAULT_EPOCHS = 20.0
"""Passes over CSV data where no end of the run is given."""
DEFAULT_STEPS = 50_000
"""Steps on drawn images where no end of the run is given."""
LEARNING_RATES = {
    "tiny": 5e-4,
    "line": 1e-3,
    "formula": 5e-4,
    "equation-vlm": 1e-4,
    "equation-vlm-small": 1e-3,
}
"""Peak learning rates of the presets, used where none is given."""


def _changed(config: _T, **changes: Any) -> _T:
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(config, **given)  # type: ignore[type-var]


def chosen(options: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as JSON values."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            plain[field.name] = _to_json(value)
    return plain


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def _from_json(value: Any, hint: Any, folder: Path) -> Any:
    """Check a JSON value against a field's type and convert it; TypeError if it is not one."""
    if isinstance(hint, types.UnionType):
        inner = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return None if value is None else _from_json(value, inner[0], folder)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError("must be a list")
        return tuple(_from_json(item, typing.get_args(hint)[0], folder) for item in value)
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    name = {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "a string")
    raise TypeError(f"must be {name}, not {json.dumps(value)}")
