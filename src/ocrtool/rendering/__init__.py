"""Rendering of formulas, and comparison of renderings with images."""
