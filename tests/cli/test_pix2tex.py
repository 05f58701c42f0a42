"""pix2tex's model by our command; a package of the same shape stands in for the real one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOKENS = ["x", "+", "y"]
PACKAGE = f'''
import logging
import torch
from types import SimpleNamespace

TOKENS = {TOKENS}


class Clipboard:
    said = []

    def copy(self, text):
        self.said.append(text)


clipboard = Clipboard()


class Net(torch.nn.Module):
    """The next token of the text is the likeliest; others are nearly as likely."""

    def forward(self, ids):
        logits = torch.full((1, ids.shape[1], len(TOKENS) + 1), 0.0)
        logits[0, -1, min(ids.shape[1] - 1, len(TOKENS))] = 1.0
        return logits


class LatexOCR:
    def __init__(self, arguments=None):
        logging.getLogger().setLevel(logging.FATAL)
        self.args = SimpleNamespace(temperature=0.25, device="cpu")
        self.model = SimpleNamespace(decoder=SimpleNamespace(net=Net()))

    def __call__(self, image):
        assert image.mode == "RGB"
        ids = torch.zeros(1, 1, dtype=torch.int64)
        text = ""
        for _ in range(20):
            logits = self.model.decoder.net(ids)[:, -1]
            chosen = torch.multinomial(torch.softmax(logits / self.args.temperature, -1), 1)
            ids = torch.cat((ids, chosen), 1)
            if chosen.item() == len(TOKENS):
                break
            text += TOKENS[chosen.item()]
        clipboard.copy(text)
        return text
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site" / "pix2tex"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "cli.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(folder.parent)
    yield folder
    for name in ("pix2tex", "pix2tex.cli"):
        sys.modules.pop(name, None)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "formula.png"
    Image.fromarray(np.full((40, 90), 255, np.uint8)).save(path)
    return path


def test_it_reads_the_same_every_time_and_leaves_the_rest_alone(
    package: Path, picture: Path, run_cli: Callable
) -> None:
    weights = package / "model/checkpoints/weights.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    level = logging.getLogger().level
    for _ in range(4):  # by lot, it would hardly read the same
        done = run_cli("latex", picture, "--kind", "formula", "--model", "pix2tex", "-f", "jsonl")
        assert done.code == 0, done.err
        said = json.loads(done.out)
        assert said["latex"] == "x+y"
        likeliest = np.e / (np.e + len(TOKENS))
        assert said["confidence"] == pytest.approx(likeliest**4, abs=1e-4)
    assert logging.getLogger().level == level
    from pix2tex.cli import Clipboard

    assert not Clipboard.said


def test_what_is_missing_is_told(package: Path, picture: Path, run_cli: Callable) -> None:
    done = run_cli("latex", picture, "--kind", "formula", "--model", "pix2tex")
    assert done.code == 6 and "no weights" in done.err
    (package / "__init__.py").unlink()
    (package / "cli.py").unlink()
    package.rmdir()
    done = run_cli("latex", picture, "--kind", "formula", "--model", "pix2tex")
    assert done.code == 3 and "pip install pix2tex" in done.err
