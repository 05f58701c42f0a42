"""Where the text of a page is, what its parts are, and in which order they are read."""
