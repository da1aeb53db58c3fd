"""The page as a folder of files, which any web server serves: what computes there is WebAssembly."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from ..errors import OptionError, UsageError
from ..files import check_directory, whole_folder
from ..manifest import SHIPPED, Manifest, load_manifest

PAGE = Path(__file__).with_name("page")
BUILT = Path(__file__).resolve().parents[2] / "build" / "wasm" / "studio"
"""Where `make wasm` puts what it builds."""
WASM = tuple(
    f"engine{threads}{relaxed}.{kind}"
    for threads in ("", "-threads")
    for relaxed in ("", "-relaxed")
    for kind in (("js", "wasm", "worker.js") if threads else ("js", "wasm"))
)
"""wasm_nets.js picks a form."""
LIST = "models.json"
FORMAT = "ncnn-builder-studio"
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"
    " img-src 'self' blob: data:; media-src blob:; connect-src 'self'; worker-src 'self'"
)
"""Nothing is loaded from elsewhere, whatever a model says."""


def export(out: str, model: str | None, wasm: str | None) -> str:
    """Writes the folder, whole or not at all, and says what is in it.

    model: the bundle to begin with; faces is there too. wasm: the folder of what was built; None: that of `make wasm`.
    Raises UsageError for a folder that holds something else, BundleError for a bad bundle, OptionError where nothing
    was built.
    """
    built = Path(wasm) if wasm else BUILT
    for name in WASM:
        if not (built / name).is_file():
            fix = "`make wasm` builds it, in a checkout (Debian: apt install emscripten); wasm= says where it is"
            raise OptionError("what computes in the browser was not built", file=str(built / name), fix=fix)
    manifests: dict[str, Manifest] = {}
    for path in (model, SHIPPED / "faces"):
        if path is not None:
            manifest = load_manifest(path)
            manifests.setdefault(manifest.path.stem, manifest)  # faces may be a model of the user's own
    for manifest in manifests.values():
        manifest.check_files()
    files = _files(list(manifests.values()))
    directory = check_directory(out)
    if directory.is_dir() and any(directory.iterdir()) and not _is_ours(directory):
        raise UsageError(
            f"{out} holds something else", expected="a name that is still free, or a page as this wrote it"
        )
    with whole_folder(directory) as folder:
        _write_page(folder)
        (folder / "wasm").mkdir()
        for name in WASM:
            shutil.copyfile(built / name, folder / "wasm" / name)
        (folder / "models").mkdir()
        for name, path in files.items():
            shutil.copyfile(path, folder / "models" / name)
        about = {"format": FORMAT, "first": next(iter(manifests)), "models": list(manifests)}
        (folder / "models" / LIST).write_text(json.dumps(about) + "\n", encoding="utf-8")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{directory}: {size / 1e6:.1f} MB with {', '.join(manifests)}; for instance: python -m http.server -d {out}"


def _files(manifests: list[Manifest]) -> dict[str, Path]:
    """What lies in models/: name -> where it is. Raises UsageError where two models have files of one name."""
    files: dict[str, Path] = {}
    for manifest in manifests:
        for name in (manifest.path.name, *manifest.files):
            if name in files or name == LIST:
                other = f"{files[name]} and {manifest.file(name)}" if name in files else LIST
                raise UsageError("two files have one name", got=other, fix="Export the network under another name")
            files[name] = manifest.file(name)
    return files


def _is_ours(directory: Path) -> bool:
    try:
        return bool(json.loads((directory / "models" / LIST).read_text(encoding="utf-8"))["format"] == FORMAT)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _write_page(folder: Path) -> None:
    """What the two pages take, and what that takes; with the engine of chosen_wasm.js."""
    head = '<meta charset="utf-8">\n'
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    wanted: list[str] = []
    for name in ("index.html", "nets.html"):
        page = (PAGE / name).read_text(encoding="utf-8")
        assert head in page
        (folder / name).write_text(page.replace(head, head + policy, 1), encoding="utf-8")
        found = re.findall(r'(?:href|src)="([^"#/]+)"', page)
        wanted += [file for file in found if file.endswith((".js", ".css", ".svg"))]
    written: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in written:
            continue
        written.add(name)
        text = (PAGE / ("chosen_wasm.js" if name == "chosen.js" else name)).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
        wanted += re.findall(r'(?:from |new URL\()"(?:\./)?(\w+\.js)"', text)
