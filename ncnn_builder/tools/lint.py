"""`python -m ncnn_builder lint`: what is wrong with a net, or will be."""

from __future__ import annotations

from collections.abc import Collection

from . import rules_net as rules_net  # fills the table
from .finding import Finding
from .net import Net
from .rules import RULES


def lint(net: Net, ignore: Collection[str] = ()) -> list[Finding]:
    """All findings, in the order of the file. ignore: ids of findings that are left out."""
    found = {finding for rule in RULES.values() for finding in rule(net) if finding.rule not in ignore}
    return sorted(found, key=Finding.order)
