"""Makes runtime_nets.py importable, and skips nothing: without the extension module these tests fail."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
