"""Reading order of the lines of a page: columns, gutters, rows."""
