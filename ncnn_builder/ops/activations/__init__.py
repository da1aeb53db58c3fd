"""Activations: by torch's names, of straight pieces, smooth ones, and those that layers apply themselves."""
