"""``ocrtool train``.

A flag is an entry of `FLAGS`, named as the field of the training options that it sets; types,
ranges and defaults are those of the field.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from ocrtool import console
from ocrtool.commands.shared import ColorChoice, NoProgress, Quiet, Verbose, talk
from ocrtool.console import Color
from ocrtool.errors import ExitCode

PATHS = list[Path]


def _flag(names: str, value: str, about: str, kind: Any = str, env: str | None = None) -> Any:
    """Return the annotation of a flag; `value` is the placeholder of its value.

    A kind of ``Path`` makes the shell complete file names; flags of lists are repeatable.
    """
    option = typer.Option(*names.split(), metavar=value, show_default=False, help=about, envvar=env)
    return Annotated[kind | None, option]


def _switch(name: str, about: str) -> Any:
    """Return the annotation of a flag without a value."""
    return Annotated[bool, typer.Option(name, show_default=False, help=about)]


DATA = typer.Argument(
    metavar="DATA",
    show_default=False,
    help="CSV files with the columns image and text; with --stage, JSON lines with image, prompt"
    " and text, or folders of PDFs with Markdown. Paths are relative to the file.",
)
FLAGS = {
    "data": Annotated[PATHS | None, DATA],
    "out": _flag("--output -o", "DIR", "Folder of the run; default run.", Path),
    "preset": _flag("--preset", "NAME", "Network (ocrtool models list); default by the data."),
    "stage": _flag("--stage", "align|pretrain", "Train deepocr's projector, or its decoder too."),
    "lora": _flag("--lora", "RANK", "With --stage pretrain: train adapters instead (needs peft)."),
    "config": _flag("--config", "FILE", "JSON file of options, or line, formula or words.", Path),
    "settings": _flag(
        "--set",
        "KEY=VALUE",
        "Any other option of docs/train-options.md, such as warmup=100; repeatable.",
        list[str],
    ),
    "start_from": _flag("--from", "MODEL", "Fine-tune a bundled model or a model folder."),
    "vision_from": _flag("--vision-from", "MODEL", "Published ViT: a folder, or owner/name."),
    "decoder_from": _flag("--decoder-from", "MODEL", "Published Llama (deepocr: Qwen2)."),
    "resume": _switch("--resume", "Continue the run in DIR."),
    "overwrite": _switch("--overwrite", "Replace the run in DIR."),
    "validation": _flag("--validation", "CSV", "Validation set; default a part of the data.", Path),
    "strict": _switch("--strict", "Refuse data with unusable rows; else they are skipped."),
    "synth": _flag("--synth", "lines|formulas", "Draw endless data; lines also beside CSV files."),
    "mix": _flag("--mix", "SHARE", "Share of drawn lines beside CSV files, 0-1; default 0.5."),
    "formulas": _flag("--formulas", "DIR", "Typeset formulas for --synth, repeatable.", PATHS),
    "fonts": _flag("--fonts", "DIR", "Fonts for --synth, repeatable; default bundled.", PATHS),
    "text": _flag("--text", "FILE", "Text for --synth, repeatable; default bundled.", PATHS),
    "draw": _flag("--draw", "N", "Only write a contact sheet of N samples to DIR."),
    "steps": _flag("--steps", "N", "Steps of the whole run."),
    "epochs": _flag("--epochs", "N", "Passes over the data of the whole run."),
    "max_minutes": _flag("--max-minutes", "N", "Minutes of the whole run."),
    "batch_size": _flag("--batch-size", "N", "Images of a batch; default 64."),
    "learning_rate": _flag("--lr", "RATE", "Peak learning rate; default the preset's."),
    "precision": _flag("--precision", "auto|fp32|bf16|fp16", "Number format; default auto."),
    "device": _flag(
        "--device", "auto|cpu|cuda|cuda:N", "Where to compute; default auto.", env="OCRTOOL_DEVICE"
    ),
    "threads": _flag("--threads", "N", "CPU threads; default 0, PyTorch's.", env="OCRTOOL_THREADS"),
    "workers": _flag("--workers", "N", "Processes that load or draw images; default 1."),
    "compile": _switch("--compile", "Compile the network (torch.compile)."),
    "seed": _flag("--seed", "N", "Seed of all randomness; default 42."),
}
"""Annotation of each flag, in the order of the help, by its option of the run."""


def train(
    *,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
    **given: Any,
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

    Needs PyTorch, the extra torch: pip install '.[torch]' in a checkout. Ctrl-C saves the run, and
    --resume continues it.
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    from ocrtool.training import make_options, run

    config, settings = given.pop("config"), given.pop("settings")
    flags = {name: value for name, value in given.items() if value}
    result = run(make_options(flags, config, settings or ()))
    return ExitCode.INTERRUPTED if result.interrupted else ExitCode.OK


def _signature() -> inspect.Signature:
    """Return the signature of `train` with a parameter for each flag, which Typer reads."""
    shared = inspect.signature(train, eval_str=True).parameters.values()
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if annotation.__origin__ is bool else None,
            annotation=annotation,
        )
        for name, annotation in FLAGS.items()
    ]
    return inspect.Signature([*flags, *(p for p in shared if p.kind is p.KEYWORD_ONLY)])


train.__signature__ = _signature()  # type: ignore[attr-defined]
