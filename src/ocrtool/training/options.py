"""Options of a training run, each declared once as a dataclass field. Nothing here imports torch.

Flags, ``--set key=value`` and JSON files fill them; see `ocrtool.training.config`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ocrtool.errors import UsageError
from ocrtool.models import ModelConfig
from ocrtool.models.presets import PRESETS
from ocrtool.models.presets import preset as network_preset

OPTIONS = "options.json"
"""Name of the file in the folder of a run that holds its options."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
OPTIMIZERS = ("adamw", "muon")
TOKENS = ("characters", "latex")
SYNTHETIC = {entry.synth: name for name, entry in PRESETS.items() if entry.synth is not None}
"""Default preset of each kind of data that the data engine draws."""
DEFAULT_EPOCHS = 20.0
"""Passes over labelled data where no end of the run is given."""
DEFAULT_STEPS = 50_000
"""Steps on drawn images where no end of the run is given."""
VISION_FIELDS = {
    "patch": "patch",
    "vision_d_model": "d_model",
    "vision_layers": "n_layer",
    "vision_heads": "n_head",
    "vision_d_ff": "d_ff",
}
"""Fields of `VisionConfig` by the options that change them."""
DECODER_FIELDS = {
    "decoder_d_model": "d_model",
    "decoder_layers": "n_layer",
    "decoder_heads": "n_head",
    "decoder_d_ff": "d_ff",
    "use_swiglu": "swiglu",
    "rope_theta": "rope_theta",
}
"""Fields of `DecoderConfig` by the options that change them."""
KV_FIELDS = ("decoder_kv_heads", "use_gqa")
NETWORK_FIELDS = (
    *("img_size", "vision_stem", "max_length"),
    *(*VISION_FIELDS, *DECODER_FIELDS, *KV_FIELDS),
)
"""Options that fix shapes of the network; a model that is fine-tuned or resumed has its own."""
POSITIVE = (
    *("batch_size", "accumulation", "learning_rate", "steps", "epochs", "max_minutes"),
    *("validation_size", "log_every", "validate_every", "max_length", "max_tokens"),
)
"""Options that must be above 0 where they are given."""
NOT_NEGATIVE = (
    *("warmup", "weight_decay", "clip", "threads", "workers", "save_minutes"),
    *("guidance", "draw", "lora", "areas"),
)
"""Options that must be 0 or more where they are given."""
SHARES = (
    *("ema", "beta2", "final_learning_rate", "validation_share", "label_smoothing"),
    *("token_noise", "dropout", "mix"),
)
"""Options that must lie in 0 to below 1 where they are given."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every training run, of whatever network.

    Attributes:
        out: Folder of the run: ``last/``, ``best/``, ``log.jsonl``, ``curves.png``.
        resume: Continue the run in `out` exactly where it stopped.
        overwrite: Replace the run in `out`.
        start_from: Model to start from: a bundled name or a model folder (``--from``).
        validation_size: Maximum number of samples held out for validation.
        batch_size: Images (of average width) of a batch in each process.
        accumulation: Batches whose gradients are summed for one optimizer step; None lets the
            network's own training recipe decide.
        learning_rate: Peak learning rate; None takes the network's own.
        final_learning_rate: Share of the peak that is left at the end of the cosine schedule.
        warmup: Optimizer steps of linear warm-up, which ends with a tenth of the run at the
            latest; None warms up over 3 % of the run.
        weight_decay: Decoupled decay; norms, biases and embeddings have none.
        optimizer: ``adamw``, or ``muon``: Muon for matrices, AdamW for everything else.
        beta2: AdamW's second-moment decay.
        clip: Maximum norm of the gradient; 0 does not clip.
        ema: Decay of the moving average of the weights, which is validated and saved; 0 turns
            averaging off.
        steps: Optimizer steps of the whole run.
        epochs: Passes over the data of the whole run.
        max_minutes: Minutes of the whole run, resumed parts included.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16`` (CUDA only).
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to PyTorch.
        workers: Processes that load or draw images; 0 does it in the main process.
        seed: Seed of all randomness.
        log_every: Optimizer steps between two records of the log.
        validate_every: Optimizer steps between two validations; the last step is validated too.
        save_minutes: Minutes between two saves of ``last/`` outside of validations; 0 saves only
            there.

    Raises:
        UsageError: A value is out of its range, or two options contradict each other.
    """

    out: Path = Path("run")
    resume: bool = False
    overwrite: bool = False
    start_from: str | None = None
    validation_size: int = 1024
    batch_size: int = 64
    accumulation: int | None = 1
    learning_rate: float | None = None
    final_learning_rate: float = 0.01
    warmup: int | None = 500
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    beta2: float = 0.98
    clip: float = 1.0
    ema: float = 0.999
    steps: int | None = None
    epochs: float | None = None
    max_minutes: float | None = None
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    seed: int = 42
    log_every: int = 50
    validate_every: int = 1000
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        """Check ranges and contradictions."""
        self._require("optimizer", OPTIMIZERS)
        self._require("precision", PRECISIONS)
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite contradict each other")
        for name in (*POSITIVE, *NOT_NEGATIVE, *SHARES):
            value = getattr(self, name, None)
            if value is None:
                continue
            if name in POSITIVE and value <= 0:
                raise UsageError(f"{name} must be above 0, not {value}")
            if name in NOT_NEGATIVE and value < 0:
                raise UsageError(f"{name} must be 0 or more, not {value}")
            if name in SHARES and not 0 <= value < 1:
                raise UsageError(f"{name} must lie in 0 to below 1, not {value}")

    def _require(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise UsageError(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the options that differ from their defaults as JSON values, paths absolute."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: _to_json(v) for name, v in values.items() if v != defaults[name]}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Options of ``ocrtool train`` for networks that read lines, words and formulas.

    Attributes:
        data: CSV files with the columns ``image`` and ``text``; paths are relative to the CSV.
        validation: CSV of the validation set, or a folder of typeset formulas; without it a share
            of the data is held out.
        validation_share: Share of `data` that is held out, drawn by `seed`.
        strict: Refuse a data set with unusable rows instead of skipping them.
        synth: ``lines`` or ``formulas`` trains on endless drawn images; ``lines`` may be combined
            with `data`.
        mix: Share of drawn lines among the samples where `data` and drawn lines are combined.
        formulas: Folders of typeset formulas (``python -m ocrtool.synth.formulas``) to draw.
        fonts: Font files or folders of the data engine; without any, the bundled ones.
        text: Text files that the data engine draws from.
        alphabet: Characters of the vocabulary; without it those of the data and data engine.
        tokens: Unit of the texts: ``characters``, or ``latex``, which normalises formulas and
            splits them into commands and characters. None takes the unit of the preset.
        max_tokens: Maximum length of a text, in characters or tokens; longer ones are left out.
        curriculum: Short texts first: pairs of a share of the run and the maximum text length
            from there on, such as ``[[0, 24], [0.25, 60]]``.
        vision_from: Published ViT to start the vision encoder from: a folder, or a name on the
            Hugging Face Hub such as ``google/vit-base-patch16-224``; it sets the geometry.
        decoder_from: Published Llama to start the decoder from, such as
            ``HuggingFaceTB/SmolLM-135M``; it sets the decoder's geometry and the vocabulary.
        draw: Write a contact sheet of this many samples to `out` instead of training.
        preset: Network preset; None is ``line`` for drawn lines, ``formula`` for drawn formulas
            and ``tiny`` otherwise.
        img_size: Side of the square image, height of a line, or maximum height of a formula, in
            pixels.
        patch: Side of a patch (columns of the ``line`` encoder) in pixels.
        vision_d_model: Width of the vision encoder.
        vision_layers: Blocks of the vision encoder; with `start_from` up to twice the blocks of a
            line model, whose network is then deepened.
        vision_heads: Attention heads of the vision encoder.
        vision_d_ff: Hidden width of the vision encoder's MLP.
        vision_stem: Channels of the convolution stem of ``line`` and ``formula``.
        decoder_d_model: Width of the decoder.
        decoder_layers: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        decoder_kv_heads: Key and value heads of the decoder (grouped-query attention).
        decoder_d_ff: Hidden width of the decoder's MLP.
        dropout: Dropout of encoder and decoder.
        use_gqa: Grouped-query attention with half as many key and value heads as heads.
        use_swiglu: SwiGLU instead of GELU in the decoder's MLP.
        use_flash: Fused instead of plain attention.
        rope_theta: Base of the rotary position embedding.
        max_length: Maximum length of a token sequence with BOS; longer texts are left out.
        vocab_size: Accepted from a configuration; the size of the data's vocabulary is used.
        label_smoothing: Share of the target spread over all characters.
        token_noise: Share of the decoder's input characters replaced by random ones.
        guidance: Weight of the guided-attention loss, for samples whose symbol positions are known
            (drawn formulas).
        ctc_weight: Weight of the CTC loss where the network has a CTC head.
        decoder_weight: Weight of the decoder's cross-entropy beside CTC.
        compile: Compile the network with ``torch.compile``.
    """

    accumulation: int = 1
    warmup: int = 500
    # Data.
    data: tuple[Path, ...] = ()
    validation: Path | None = None
    validation_share: float = 0.1
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
    vision_from: str | None = None
    decoder_from: str | None = None
    draw: int = 0
    # Changes to the geometry of the preset.
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
    # Losses.
    label_smoothing: float = 0.0
    token_noise: float = 0.05
    guidance: float = 0.0
    ctc_weight: float = 1.0
    decoder_weight: float = 0.5
    compile: bool = False

    def __post_init__(self) -> None:
        """Check ranges and contradictions."""
        super().__post_init__()
        self._check_data()
        self._check_curriculum()
        if self.resume and self.start_from is not None:
            raise UsageError("--resume and --from contradict each other")
        self._check_parts()

    def _check_data(self) -> None:
        if self.synth is not None:
            self._require("synth", tuple(SYNTHETIC))
        if self.tokens is not None:
            self._require("tokens", TOKENS)
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
        if self.latex and self.alphabet is not None:
            raise UsageError("alphabet lists characters, but formulas consist of LaTeX tokens")
        if self.synth is not None and self.latex != (self.synth == "formulas"):
            raise UsageError(
                f"--synth {self.synth} does not fit this network",
                "lines need tokens=characters, formulas need tokens=latex",
            )

    def _check_parts(self) -> None:
        for flag, source, fields in (
            ("--vision-from", self.vision_from, VISION_FIELDS),
            ("--decoder-from", self.decoder_from, (*DECODER_FIELDS, *KV_FIELDS)),
        ):
            if source is None:
                continue
            if self.resume or self.start_from is not None:
                other = "--resume" if self.resume else "--from"
                raise UsageError(f"{other} and {flag} contradict each other")
            for name in fields:
                if getattr(self, name) is not None:
                    raise UsageError(f"{name} is fixed by {flag}", "leave it out")
        if self.decoder_from is not None and self.alphabet is not None:
            raise UsageError("--decoder-from has a vocabulary of its own", "leave out alphabet")

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
        if self.tokens is None:
            return self.network in PRESETS and PRESETS[self.network].latex
        return self.tokens == "latex"

    def longest(self, progress: float) -> int:
        """Return the maximum text length at a share of the run, in characters or tokens; 0: any."""
        limits = [self.max_tokens] if self.max_tokens else []
        limits += [int(stage[1]) for stage in self.curriculum if stage[0] <= progress][-1:]
        return min(limits, default=0)


def model_config(options: TrainOptions, vocab_size: int) -> ModelConfig:
    """Return the geometry of the network: that of the preset with the options' changes.

    Raises:
        UsageError: There is no such preset, or the values do not fit each other.
    """
    base = network_preset(options.network)
    vision = _changed(
        base.vision,
        **{field: getattr(options, name) for name, field in VISION_FIELDS.items()},
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
        **{field: getattr(options, name) for name, field in DECODER_FIELDS.items()},
        n_kv_head=kv_heads,
        dropout=options.dropout,
        max_length=options.max_length,
    )
    changed = _changed(base, vision=vision, decoder=decoder, flash=options.use_flash)
    return dataclasses.replace(changed, vocab_size=vocab_size)


def _changed(config: _T, **changes: Any) -> _T:
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(config, **given)  # type: ignore[type-var]


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return str(value.absolute()) if isinstance(value, Path) else value
