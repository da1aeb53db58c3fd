"""Pooling of one to three dimensions."""
