"""``ocrtool pdf``: PDFs to Markdown and other forms, page by page, many files at a time."""
