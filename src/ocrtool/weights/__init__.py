"""Models that are there (one folder each), and published ones that are fetched when wanted."""
