"""Tables: cells from ruling lines, word positions and column gaps."""
