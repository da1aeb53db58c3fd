"""Data sets of pictures: a folder or a zip, with dataset.json where there are labels."""
