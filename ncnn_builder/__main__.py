"""`python -m ncnn_builder COMMAND`: tools for nets as files."""

import sys

from .tools.cli import main

if __name__ == "__main__":
    sys.exit(main())
