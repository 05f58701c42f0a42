"""``ocrtool train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import ColorChoice, NoProgress, Quiet, Verbose, talk
from ocrtool.console import Color
from ocrtool.errors import ExitCode


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
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default=False,
            help="Folder of the run; default run.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            show_default=False,
            help="Network (ocrtool models list); default tiny, with --synth line or formula.",
        ),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage",
            metavar="align|pretrain",
            show_default=False,
            help="Train deepocr: its projector, or its language model with it.",
        ),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora",
            metavar="RANK",
            show_default=False,
            help="With --stage pretrain: train adapters of this rank instead of the language model"
            " (needs peft).",
        ),
    ] = None,
    tune_vision: Annotated[
        bool,
        typer.Option(
            "--tune-vision", show_default=False, help="With --stage: train the vision, too."
        ),
    ] = False,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            show_default=False,
            help="With --stage: compute activations twice rather than keep them in memory.",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            help="JSON file with any option, the network's figures too, or a bundled recipe (line,"
            " formula, words); flags win over it.",
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            show_default=False,
            help="Fine-tune a bundled model or a model folder.",
        ),
    ] = None,
    vision_from: Annotated[
        str | None,
        typer.Option(
            "--vision-from",
            metavar="MODEL",
            show_default=False,
            help="Start what sees from published weights: a folder, or owner/name on the hub.",
        ),
    ] = None,
    decoder_from: Annotated[
        str | None,
        typer.Option(
            "--decoder-from",
            metavar="MODEL",
            show_default=False,
            help="Start what writes from a published Llama (deepocr: Qwen2) and its tokenizer,"
            " likewise.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", show_default=False, help="Go on with the run in DIR."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", show_default=False, help="Start anew in a DIR that holds a run."
        ),
    ] = False,
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="CSV",
            show_default=False,
            help="Validation set (formulas: or a folder of them); default a part of the data.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            show_default=False,
            help="Refuse data with unusable rows; else they are skipped.",
        ),
    ] = False,
    alphabet: Annotated[
        str | None,
        typer.Option(
            "--alphabet",
            metavar="TEXT",
            show_default=False,
            help="Characters to learn; default those of the data.",
        ),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            "--tokens",
            metavar="characters|latex",
            show_default=False,
            help="What a text is made of; default latex for the preset formula.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            show_default=False,
            help="Leave out texts longer than N characters or tokens.",
        ),
    ] = None,
    synth: Annotated[
        str | None,
        typer.Option(
            "--synth",
            metavar="lines|formulas",
            show_default=False,
            help="Draw the data without end instead.",
        ),
    ] = None,
    formulas: Annotated[
        list[Path] | None,
        typer.Option(
            "--formulas",
            metavar="DIR",
            show_default=False,
            help="Typeset formulas for --synth, repeatable (python -m ocrtool.synth.formulas).",
        ),
    ] = None,
    fonts: Annotated[
        list[Path] | None,
        typer.Option(
            "--fonts",
            metavar="DIR",
            show_default=False,
            help="Fonts for --synth, repeatable; default the bundled ones.",
        ),
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            "--text",
            metavar="FILE",
            show_default=False,
            help="Text for --synth, repeatable; default a bundled sample.",
        ),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            "--draw",
            metavar="N",
            min=1,
            show_default=False,
            help="Only write a picture of N samples to DIR, to look at.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", show_default=False, help="Steps of the whole run."),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            metavar="N",
            show_default=False,
            help="Passes over the data of the whole run.",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes", metavar="N", show_default=False, help="Minutes of the whole run."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", metavar="N", show_default=False, help="Images a batch; default 64."
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            "--accumulate",
            metavar="N",
            show_default=False,
            help="Batches whose gradients make a step; default 1.",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            show_default=False,
            help="Peak learning rate; default the preset's.",
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(
            "--warmup",
            metavar="N",
            show_default=False,
            help="Steps of linear warm-up; default 500.",
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            "--label-smoothing",
            metavar="SHARE",
            show_default=False,
            help="Share of the target spread over all characters; default 0.0.",
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            "--ema",
            metavar="DECAY",
            show_default=False,
            help="Decay of the averaged weights, 0 is off; default 0.999.",
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(
            "--validate-every",
            metavar="N",
            show_default=False,
            help="Steps between validations; default 1000.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="auto|fp32|bf16|fp16",
            show_default=False,
            help="Arithmetic; default auto.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            envvar="OCRTOOL_DEVICE",
            metavar="auto|cpu|cuda|cuda:N",
            show_default=False,
            help="Where to compute; default auto.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="OCRTOOL_THREADS",
            metavar="N",
            show_default=False,
            help="CPU threads; default 0, PyTorch's choice.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            show_default=False,
            help="Processes that load or draw images; default 1.",
        ),
    ] = None,
    compile_network: Annotated[
        bool,
        typer.Option("--compile", show_default=False, help="Compile the network (torch.compile)."),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", show_default=False, help="Of everything random; default 42."
        ),
    ] = None,
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
      ocrtool train --synth lines --fonts ~/fonts --text book.txt -o run --steps 20000
      ocrtool train formulas.csv --preset formula -o run
      ocrtool train pages.jsonl --preset deepocr --stage pretrain --from aligned/last --lora 128
      ocrtool train words.csv -o run --resume
      ocrtool train --synth lines --draw 40 -o look

    Needs PyTorch: pip install 'ocrtool[torch]'. Ctrl-C saves the run, and --resume goes on with it.
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    flags = {
        "data": tuple(data) if data else None,
        "out": out,
        "preset": preset,
        "stage": stage,
        "lora": lora,
        "tune_vision": tune_vision or None,
        "recompute": recompute or None,
        "start_from": start_from,
        "vision_from": vision_from,
        "decoder_from": decoder_from,
        "resume": resume or None,
        "overwrite": overwrite or None,
        "validation": validation,
        "strict": strict or None,
        "alphabet": alphabet,
        "tokens": tokens,
        "max_tokens": max_tokens,
        "synth": synth,
        "formulas": tuple(formulas) if formulas else None,
        "fonts": tuple(fonts) if fonts else None,
        "text": tuple(text) if text else None,
        "draw": draw,
        "steps": steps,
        "epochs": epochs,
        "max_minutes": max_minutes,
        "batch_size": batch_size,
        "accumulation": accumulate,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "ema": ema,
        "validate_every": validate_every,
        "precision": precision,
        "device": device,
        "threads": threads,
        "workers": workers,
        "compile": compile_network or None,
        "seed": seed,
    }
    from ocrtool.training import is_staged, make_options, make_stage_options, run

    make = make_stage_options if is_staged(flags, config) else make_options
    result = run(make(flags, config))
    return ExitCode.INTERRUPTED if result.interrupted else ExitCode.OK
