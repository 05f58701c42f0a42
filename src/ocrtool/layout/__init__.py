"""Text detection, page orientation, ruling lines and content type of an image."""
