"""MkDocs hooks: the pages that live elsewhere in the repository, and links to them.

Model cards stay beside their weights and the changelog at the top level, where a reader of the
repository looks for them. Links to them are relative paths in the repository; here they become
links between pages of the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
EXTERNAL = {
    "../CHANGELOG.md": "changelog.md",
    "../tests/benchmarks/README.md": "benchmarks.md",
} | {
    f"../src/ocrtool/weights/{name}/CARD.md": f"cards/{name}.md"
    for name in ("detector", "formula", "line", "spelling")
}
"""Path relative to this folder -> path in the site, of the pages that live outside this folder."""
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")


def on_config(config: MkDocsConfig) -> None:
    """Take the pages from this folder, which MkDocs does not accept in the configuration."""
    config.docs_dir = str(DOCS)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that live outside this folder."""
    for source, target in EXTERNAL.items():
        files.append(File.generated(config, target, abs_src_path=str(DOCS / source)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between places in the repository into links between pages of the site."""
    sources = {target: source for source, target in EXTERNAL.items()}
    page_folder = posixpath.dirname(page.file.src_uri)
    source_folder = posixpath.dirname(sources.get(page.file.src_uri, page.file.src_uri))

    def resolve(match: re.Match[str]) -> str:
        source = posixpath.normpath(posixpath.join(source_folder, match[1]))
        # A page outside this folder links back into it: "../docs/x.md" is "x.md".
        source = EXTERNAL.get(source, source.removeprefix("../docs/"))
        return posixpath.relpath(source, page_folder or ".")

    return LINK.sub(resolve, markdown)
