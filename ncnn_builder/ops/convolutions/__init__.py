"""Convolutions of one to three dimensions, forward and transposed, and their windows as columns."""
