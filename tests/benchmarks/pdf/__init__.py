"""Drawn PDFs with known truth, and the scores of what converters make of them."""
