"""Proof that two computations are equal: results, reports, the first divergence, the smallest graph that shows it.

torch is imported where a reference is computed; the runtime is handed in by the caller.
"""

from .bisect import Finding, isolated_nodes, smallest_failure
from .compare import Comparison, Report, compare
from .interpret import interpret
from .runner import loaded, runner
from .subgraph import duplicate, module_graph, module_paths, node_graph
from .taps import torch_taps

__all__ = [
    "Comparison",
    "Finding",
    "Report",
    "compare",
    "duplicate",
    "interpret",
    "isolated_nodes",
    "loaded",
    "module_graph",
    "module_paths",
    "node_graph",
    "runner",
    "smallest_failure",
    "torch_taps",
]
