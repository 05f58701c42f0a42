"""Where images and documents come from: paths, standard input, the clipboard, page ranges."""
