"""The documentation builds without a broken link and requests nothing from other servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTERNAL = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc="https?:|<link[^>]*stylesheet[^>]*"https?:"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built documentation."""
    pytest.importorskip("material", reason="needs mkdocs-material")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q",
         "-f", "docs/mkdocs.yml", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        name = "index.html" if page.stem == "index" else f"{page.stem}/index.html"
        assert (site / name).is_file(), f"{page.name} is missing from the site"
    for card in (ROOT / "src" / "ocrtool" / "weights").glob("*/CARD.md"):
        assert (site / "cards" / card.parent.name / "index.html").is_file()


def test_pages_request_nothing_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not EXTERNAL.search(page.read_text("utf-8")), page
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text("utf-8"), style


@pytest.mark.parametrize(
    "path",
    ["README.md", "CHANGELOG.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))],
)
def test_links_between_files_of_the_repository(path: str) -> None:
    code = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
    text = code.sub("", (ROOT / path).read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#:\s]+)[)#]", text):
        assert ((ROOT / path).parent / target).exists(), f"{path} links to {target}"
