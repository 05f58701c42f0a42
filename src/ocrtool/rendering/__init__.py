"""Formulas drawn as images, and images compared."""
