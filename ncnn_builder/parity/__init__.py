"""Proof that two computations are equal: results, reports, the first divergence, the smallest graph that shows it.

torch is imported where a reference is computed. The runtime is handed in by the caller; installed_ncnn() finds one.
"""

from .bisect import Finding, isolated_nodes, smallest_failure
from .compare import Comparison, Report, compare
from .edges import EDGES, compare_edges, edge, nudged
from .installed import installed_ncnn, on_the_wheel, one_by_one, wheel_results, wheel_run
from .interpret import interpret
from .runner import loaded, runner
from .subgraph import duplicate, module_graph, module_paths, node_graph
from .taps import torch_taps

__all__ = [
    "EDGES",
    "Comparison",
    "Finding",
    "Report",
    "compare",
    "compare_edges",
    "duplicate",
    "edge",
    "installed_ncnn",
    "interpret",
    "isolated_nodes",
    "loaded",
    "module_graph",
    "module_paths",
    "node_graph",
    "nudged",
    "on_the_wheel",
    "one_by_one",
    "runner",
    "smallest_failure",
    "torch_taps",
    "wheel_results",
    "wheel_run",
]
