"""Converters by family; importing them fills the registry. A file here is a family: nothing has to name it."""

import importlib
import pkgutil

FAMILIES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
for _family in FAMILIES:
    importlib.import_module(f".{_family}", __name__)
