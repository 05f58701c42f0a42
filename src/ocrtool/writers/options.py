"""How pages are written."""

from __future__ import annotations

from dataclasses import dataclass

from ocrtool.convert.options import ImageChoice, TableChoice


@dataclass(frozen=True)
class WriteOptions:
    """How pages are written; formats pass over what does not concern them.

    Attributes:
        min_confidence: Words below it (0 to 1) are ``[?]`` in txt, md, tex and articles of html,
            ``"doubtful": true`` in json and jsonl, underlined beside pictures. The others always
            carry the confidences.
        tables: How tables are written in md.
        images: What becomes of figures in md, html and tex.
        image_folder: Folder of the files that figures were cut out to, as the output refers to it.
        keep_furniture: Whether running heads and feet are written, in md and tex as comments.
        page_breaks: Whether md and tex tell where pages begin, by comments.
        front_matter: Whether md begins with title, author, pages and source, in YAML.
    """

    min_confidence: float = 0.0
    tables: TableChoice = TableChoice.MD
    images: ImageChoice = ImageChoice.NONE
    image_folder: str = ""
    keep_furniture: bool = False
    page_breaks: bool = False
    front_matter: bool = False
