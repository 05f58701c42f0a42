"""An image of a page to its blocks: detection, orientation, recognition, assembly."""
