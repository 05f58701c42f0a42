"""Images to the arrays that the networks take."""
