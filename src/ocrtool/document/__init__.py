"""The document model: documents, pages, blocks, lines, words, and their geometry."""
