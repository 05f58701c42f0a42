"""``ocrtool train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ocrtool import console
from ocrtool.commands.shared import ColorChoice, NoProgress, Quiet, Verbose, talk
from ocrtool.console import Color
from ocrtool.errors import ExitCode

NOT_OPTIONS = ("config", "settings", "verbose", "quiet", "color", "no_progress")
"""Parameters of the command that are not fields of the training options."""


def _flag(name: str, value: str | None, about: str, *more: str, **settings: Any) -> Any:
    """Return a flag: name, placeholder of its value, help, further names."""
    return typer.Option(name, *more, metavar=value, show_default=False, help=about, **settings)


def train(
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="CSV files with the columns image and text; with --stage, JSON lines with image,"
            " prompt and text, or folders of PDFs with Markdown. Paths are relative to the file.",
        ),
    ] = None,
    out: Annotated[
        Path | None, _flag("--output", "DIR", "Folder of the run; default run.", "-o")
    ] = None,
    preset: Annotated[
        str | None,
        _flag(
            "--preset",
            "NAME",
            "Network (ocrtool models list); default tiny, with --synth line or formula.",
        ),
    ] = None,
    stage: Annotated[
        str | None,
        _flag(
            "--stage",
            "align|pretrain",
            "Train deepocr: its projector, or its language model with it.",
        ),
    ] = None,
    lora: Annotated[
        int | None,
        _flag(
            "--lora",
            "RANK",
            "With --stage pretrain: train adapters of this rank instead of the language model"
            " (needs peft).",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        _flag(
            "--config",
            "FILE",
            "JSON file with any options, or a bundled recipe (line, formula, words); flags win.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        _flag(
            "--set",
            "KEY=VALUE",
            "Any other option of docs/train.md, such as warmup=100; repeatable.",
        ),
    ] = None,
    start_from: Annotated[
        str | None, _flag("--from", "MODEL", "Fine-tune a bundled model or a model folder.")
    ] = None,
    vision_from: Annotated[
        str | None,
        _flag(
            "--vision-from",
            "MODEL",
            "Published weights of the vision encoder: a folder, or owner/name on the hub.",
        ),
    ] = None,
    decoder_from: Annotated[
        str | None,
        _flag(
            "--decoder-from",
            "MODEL",
            "Published Llama (deepocr: Qwen2) for the decoder, and its tokenizer.",
        ),
    ] = None,
    resume: Annotated[bool, _flag("--resume", None, "Continue the run in DIR.")] = False,
    overwrite: Annotated[
        bool, _flag("--overwrite", None, "Start anew in a DIR that holds a run.")
    ] = False,
    validation: Annotated[
        Path | None,
        _flag(
            "--validation",
            "CSV",
            "Validation set (formulas: or a folder of them); default a part of the data.",
        ),
    ] = None,
    strict: Annotated[
        bool, _flag("--strict", None, "Refuse data with unusable rows; else they are skipped.")
    ] = False,
    synth: Annotated[
        str | None,
        _flag("--synth", "lines|formulas", "Draw endless data; lines may accompany CSV files."),
    ] = None,
    mix: Annotated[
        float | None,
        _flag("--mix", "SHARE", "Share of drawn lines beside CSV files; default 0.5."),
    ] = None,
    formulas: Annotated[
        list[Path] | None,
        _flag(
            "--formulas",
            "DIR",
            "Typeset formulas for --synth, repeatable (python -m ocrtool.synth.formulas).",
        ),
    ] = None,
    fonts: Annotated[
        list[Path] | None,
        _flag("--fonts", "DIR", "Fonts for --synth, repeatable; default the bundled ones."),
    ] = None,
    text: Annotated[
        list[Path] | None,
        _flag("--text", "FILE", "Text for --synth, repeatable; default a bundled sample."),
    ] = None,
    draw: Annotated[
        int | None,
        _flag("--draw", "N", "Only write a contact sheet of N samples to DIR.", min=1),
    ] = None,
    steps: Annotated[int | None, _flag("--steps", "N", "Steps of the whole run.")] = None,
    epochs: Annotated[
        float | None, _flag("--epochs", "N", "Passes over the data of the whole run.")
    ] = None,
    max_minutes: Annotated[
        float | None, _flag("--max-minutes", "N", "Minutes of the whole run.")
    ] = None,
    batch_size: Annotated[
        int | None, _flag("--batch-size", "N", "Images of a batch; default 64.")
    ] = None,
    learning_rate: Annotated[
        float | None, _flag("--lr", "RATE", "Peak learning rate; default the preset's.")
    ] = None,
    precision: Annotated[
        str | None, _flag("--precision", "auto|fp32|bf16|fp16", "Number format; default auto.")
    ] = None,
    device: Annotated[
        str | None,
        _flag(
            "--device",
            "auto|cpu|cuda|cuda:N",
            "Where to compute; default auto.",
            envvar="OCRTOOL_DEVICE",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        _flag(
            "--threads",
            "N",
            "CPU threads; default 0, PyTorch's choice.",
            envvar="OCRTOOL_THREADS",
        ),
    ] = None,
    workers: Annotated[
        int | None, _flag("--workers", "N", "Processes that load or draw images; default 1.")
    ] = None,
    compile: Annotated[
        bool, _flag("--compile", None, "Compile the network (torch.compile).")
    ] = False,
    seed: Annotated[int | None, _flag("--seed", "N", "Seed of all randomness; default 42.")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Train a model on your own images, or on drawn lines or formulas.

    \b
    Examples:
      ocrtool train words.csv -o run --epochs 20
      ocrtool train more.csv --from line -o fine --max-minutes 30
      ocrtool train mine.csv --synth lines --mix 0.6 --from line -o fine --steps 2000
      ocrtool train --synth lines --fonts ~/fonts --text book.txt -o run --steps 20000
      ocrtool train formulas.csv --preset formula -o run --set warmup=100 --set ema=0.99
      ocrtool train pages.jsonl --preset deepocr --stage pretrain --from aligned/last --lora 128
      ocrtool train words.csv -o run --resume
      ocrtool train --synth lines --draw 40 -o look

    Needs PyTorch: pip install 'ocrtool[torch]'. Ctrl-C saves the run, and --resume continues it.
    """
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in locals().items()
        if name not in NOT_OPTIONS and value is not False and value != []
    }
    console.begin(talk(verbose, quiet, color, no_progress))
    from ocrtool.training import make_options, run

    result = run(make_options(given, config, settings or ()))
    return ExitCode.INTERRUPTED if result.interrupted else ExitCode.OK
