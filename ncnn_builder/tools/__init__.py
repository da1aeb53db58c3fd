"""Tools for nets as files, `python -m ncnn_builder COMMAND`: lint, fix, diff, show, draw.

They know what the registry of ops knows, and nothing of any network. A net is read leniently here, as ncnn reads it, so
that they can tell of files that load() refuses.
"""
