"""Bundled models (one folder each), and published models that are downloaded on request."""
