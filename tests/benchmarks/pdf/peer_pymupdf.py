"""PyMuPDF's own Markdown of a folder of PDFs; run by the Python that has PyMuPDF 2.

Usage: python peer_pymupdf.py IN OUT [layout|plain]
"""

import sys
from pathlib import Path

import pymupdf


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    pymupdf._use_layout(sys.argv[3:] != ["plain"])
    target.mkdir(parents=True, exist_ok=True)
    failed = False
    for path in sorted(source.glob("*.pdf")):
        try:
            with pymupdf.open(path) as file:
                options = {"header": False, "footer": False} if sys.argv[3:] != ["plain"] else {}
                text = file.to_markdown(**options)
        except Exception as error:  # whatever it raises costs one file
            print(f"{path.name}: {error!r}", file=sys.stderr)
            failed = True
            continue
        (target / f"{path.stem}.md").write_text(text, encoding="utf-8")
    sys.exit(failed)


if __name__ == "__main__":
    main()
