"""``ocrtool eval``: readings of ocrtool and of other programs scored against the truth."""
