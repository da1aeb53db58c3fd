"""The versions, said once."""

__version__ = "0.1.0"

API = 1
"""Of the public names, docs/api.md: raised when one goes, or a call that was right is refused."""
