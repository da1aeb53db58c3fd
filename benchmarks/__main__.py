"""`python -m benchmarks` is `python -m benchmarks.compare`."""

import sys

from benchmarks.compare import main

sys.exit(main())
