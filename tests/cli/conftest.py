"""The command line run in this process, a model whose answer is known, and some pictures."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtool import cli, console


@dataclass(frozen=True)
class Done:
    """A finished run of the command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Done]:
    """Run ``ocrtool`` in this process; standard output is a file instead of descriptor 1."""
    for name in [name for name in os.environ if name.startswith("OCRTOOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(console, "_talk", console.Talk())
    logger = logging.getLogger("ocrtool")
    monkeypatch.setattr(logger, "handlers", list(logger.handlers))
    monkeypatch.setattr(logger, "propagate", logger.propagate)
    monkeypatch.setattr(logger, "level", logger.level)

    def run(*arguments: str | Path, stdin: bytes = b"") -> Done:
        path = tmp_path_factory.mktemp("stdout") / "data"
        stream = console.OutputStream(os.open(path, os.O_CREAT | os.O_WRONLY))
        monkeypatch.setattr(console, "_data", stream)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        try:
            code = cli.main([str(argument) for argument in arguments])
        finally:
            stream.close()
        printed = capsys.readouterr()
        return Done(code, printed.out + path.read_text("utf-8"), printed.err)

    return run


@pytest.fixture(scope="session")
def model_that_reads_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder whose CTC head is certain that every column is part of one ``a``."""
    import torch

    from ocrtool.models import DecoderConfig, ModelConfig, VisionConfig
    from ocrtool.models.ocr import OcrModel
    from ocrtool.training.checkpoint import Checkpoint, write_folder
    from ocrtool.weights import Vocabulary

    vocabulary = Vocabulary.from_texts(["abc "])
    vision = VisionConfig("line", 1, 32, 0, 4, 16, 1, 2, 16, 0.0, (4, 4, 8))
    decoder = DecoderConfig(16, 1, 2, 2, 16, 0.0, True, 10_000.0, 32)
    config = ModelConfig("line", vision, decoder, len(vocabulary), ctc=True, flash=True)
    torch.manual_seed(0)
    network = OcrModel(config)
    assert network.ctc is not None
    with torch.no_grad():
        network.ctc.weight.zero_()
        network.ctc.bias.zero_()
        network.ctc.bias[vocabulary.encode("a")[0]] = 9.0
    folder = tmp_path_factory.mktemp("models") / "reads-a"
    write_folder(folder, Checkpoint(config, vocabulary, network.state_dict()).files())
    return folder


@pytest.fixture(scope="session")
def slow_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PDF of three pages whose second takes hours to read."""
    from batch.drawn_pdfs import slow_pdf

    return slow_pdf(tmp_path_factory.mktemp("slow") / "slow.pdf")
