"""What a file is that holds no checkpoint, by its content: downloads go wrong, and archives want to be unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib

from stylegan.checkpoints.pickle_values import Refused, quoted

_CHECKPOINTS = (".pkl", ".pt", ".pth", ".ckpt", ".safetensors", ".gz")
GZIP = b"\x1f\x8b"
MAX_RATIO = 16
"""How much larger than itself a gzip file may be: weights hardly shrink, and zeros shrink a thousandfold."""

_STARTS = {
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "one array of numpy",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"(\xb5/\xfd": "compressed with zstd: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"GGUF": "a GGUF file of a language model",
    b"version https://git-lfs": "a Git LFS pointer, which stands for the file: `git lfs pull` fetches the file itself",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"7767517": "an ncnn .param file: runtime.run and the program stylegan take it",
}


def unpacked(data: bytes) -> bytes:
    """The content of a gzip file; everything else as it is. Raises Refused."""
    if data[:2] != GZIP:
        return data
    most = MAX_RATIO * len(data) + (1 << 20)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused("damage: the gzip file cannot be unpacked") from error
    if len(content) > most:
        raise Refused(f"a gzip file of more than {MAX_RATIO} times its size")
    return content


def known(data: bytes) -> str | None:
    """What the file is, where that is known and no checkpoint."""
    if not data:
        return "empty"
    for start, what in _STARTS.items():
        if data.startswith(start):
            return what
    head = data[:1000].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page: what was fetched is a site's answer and not the file; fetch it as a browser does"
    if (text := _text(data)) is not None:
        return f"a text that begins with '{quoted(text, 40)}'"
    if data[:1] == b"\x08" and b"pytorch" in data[:64]:
        return "an ONNX file"
    if data[257:262] == b"ustar":
        return "a tar archive: unpack it"
    return _archive(data) if data[:2] == b"PK" else None


def _text(data: bytes) -> str | None:
    """Its first line; None where it is none: the oldest pickles are nearly texts, but have no blanks."""
    try:
        lines = data[:400].decode("utf-8", errors="strict" if len(data) < 400 else "ignore").splitlines()
    except UnicodeDecodeError:
        return None
    plain = all(line.replace("\t", " ").isprintable() for line in lines)
    return lines[0] if plain and any(" " in line or line[:1] in ("{", "[", "#") for line in lines) else None


def _archive(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()[:100_000]
    except Exception:  # the reader raises a dozen kinds on a damaged file
        return None
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript archive, whose network is code: save the generator's state_dict()"
    if names and all(name.endswith(".npy") for name in names):
        return "a file of numpy's arrays; a projected style is a seed: give it where seeds are given"
    if any(name.endswith("/data.pkl") for name in names):
        return None
    inside = [name for name in names if name.lower().endswith(_CHECKPOINTS)]
    shown = ", ".join(quoted(name, 40) for name in (inside or names)[:3])
    return f"a zip archive with {shown}: unpack it" if inside else f"a zip archive of other files, such as {shown}"
