"""Rewrites of a graph. `..pipeline` holds the one ordered list of those that every export runs."""
