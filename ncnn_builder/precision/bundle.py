"""Bundles of StyleGAN: a synthesis of fewer bits in a bundle of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ..emit import write_files
from ..errors import NcnnBuilderError
from .certificate import html, page_name
from .quantise import ENDS, Quantised, check_apart, quantize_net


def quantize_bundle(path: str | PathLike[str], out: str | PathLike[str], **arguments: Any) -> Quantised:
    """The bundle NAME.json with a synthesis of fewer bits, as OUT.json and its files; see quantize_net().

    The certificate is OUT_synthesis.json, which `verify` takes. Data are seeds, unless `data` is given.
    """
    source, target = Path(path), Path(out)
    try:
        said = json.loads(source.read_text())
        graph = said["graphs"]["synthesis"]
        files: Mapping[str, Any] = said["files"]
        synthesis = source.with_name(graph["param"])
    except FileNotFoundError:
        raise NcnnBuilderError(f"cannot read {source}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NcnnBuilderError(f"{source} is no bundle: {error}") from None
    name = f"{target.name}_synthesis"
    own = [*(target.with_name(f"{name}{end}") for end in ENDS), target.with_name(f"{target.name}.json")]
    check_apart(own, [source, *(source.with_name(file) for file in files)])
    arguments.setdefault("data", str(source))
    done = quantize_net(synthesis, **arguments)
    command = done.certificate["command"].replace(f"quantize {synthesis} ", f"quantize {source} ")
    certificate = {**done.certificate, "command": command.replace("--out OUT", f"--out {out}")}
    renamed = {graph["param"]: f"{name}.param", graph["bin"]: f"{name}.bin"}
    contents = {f"{name}{Path(file).suffix}": content for file, content in done.files.items()}
    contents.update(page_name(name, certificate, html(certificate, name)))
    for file in files:
        if file not in renamed:
            renamed[file] = target.name + file.removeprefix(said["name"]) if file.startswith(said["name"]) else file
            contents[renamed[file]] = source.with_name(file).read_bytes()
    text = json.loads(json.dumps(said), object_hook=lambda d: {k: _renamed(v, renamed) for k, v in d.items()})
    text["name"] = target.name
    text["files"] = {
        new: {"bytes": len(contents[new]), "sha256": hashlib.sha256(contents[new]).hexdigest()}
        for new in renamed.values()
    }
    contents[f"{target.name}.json"] = json.dumps(text, indent=1).encode() + b"\n"
    write_files({target.with_name(file): [content] for file, content in contents.items()})
    return Quantised(done.choice, certificate, contents)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value
