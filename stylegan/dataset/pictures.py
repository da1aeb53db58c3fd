"""The pictures that a network is trained with or measured against."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from stylegan._torch import torch
from stylegan.dataset.picture_files import MODES, PictureError, converted, kind, open_picture
from stylegan.dataset.sizes import first_block
from stylegan.dataset.source import Source, reason_of
from stylegan.errors import DatasetError

Item = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]
LISTED = 20


class PictureDataset(torch.utils.data.Dataset[Item]):
    """A folder or zip of pictures of one size: item i is (uint8 [C, H, W], label float32 [c_dim]).

    `size` is (H, W), `resolution` the larger of them. resolution: what they must be, one number or (H, W), None for any
    square, or with square False for any size that networks make; xflip: every picture also mirrored, behind all the
    others; max_size:
    so many of them, chosen by `seed`, in their order; labels: of dataset.json, a class as zeros and a one (False: c_dim
    is 0). channels: 1 where all are grey, else 3 (transparent ones on white), unless given. Fit for the workers of a
    DataLoader.

    All that the first bytes of the pictures tell is checked at once: raises one DatasetError that lists what is wrong.
    Reading an item raises it where the rest is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int | tuple[int, int] | None = None,
        xflip: bool = False,
        max_size: int | None = None,
        seed: int = 0,
        labels: bool = True,
        channels: int | None = None,
        square: bool = True,
    ) -> None:
        if max_size is not None and max_size < 1:
            raise DatasetError(f"max_size: expected 1 or more, got {max_size}")
        if channels is not None and channels not in MODES:
            raise DatasetError(f"channels: expected 1, 3 or 4, got {channels}")
        self.source = Source(path)
        indices = np.arange(len(self.source.names))
        if max_size is not None and max_size < len(indices):
            indices = np.sort(np.random.RandomState(seed % 2**32).permutation(indices)[:max_size])
        self.names = [self.source.names[i] for i in indices]
        self.xflip = xflip
        wanted = (resolution, resolution) if isinstance(resolution, int) else resolution
        self.size, found = self._checked(wanted, square)
        self.resolution = max(self.size)
        self.channels = channels or found
        self.c_dim, self._labels = self._labels_of(self.source) if labels else (0, None)

    def _checked(self, wanted: tuple[int, int] | None, square: bool) -> tuple[tuple[int, int], int]:
        """(height, width) of all pictures, and their channels."""
        faults, most = [], 1
        square = square if wanted is None else wanted[0] == wanted[1]
        first: tuple[str, tuple[int, int]] | None = None if wanted is None else ("", wanted)
        for name in self.names:
            try:
                with self.source.open(name) as file:
                    (width, height), channels = kind(file)
            except PictureError as error:
                faults.append(f"{name}: {error}")
                continue
            except Exception as error:  # of the zip
                faults.append(f"{name}: cannot be read: {reason_of(error)}")
                continue
            most = max(most, min(channels, 3))
            first = first or (name, (height, width))
            if square and width != height:
                faults.append(f"{name}: {width}x{height} is not square")
            elif (height, width) != first[1]:
                of = f" as {first[0]} has" if first[0] else ""
                faults.append(f"{name}: expected {first[1][1]}x{first[1][0]}{of}, got {width}x{height}")
            elif width != height and first_block(width, height) is None:
                faults.append(f"{name}: no network makes {width}x{height}")
        if faults:
            more = f"\n  and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
            raise DatasetError(
                f"data {self.source.path}: {len(faults)} of {len(self.names)} pictures cannot be used; "
                "python -m stylegan.dataset makes a data set of one size:\n  " + "\n  ".join(faults[:LISTED]) + more
            )
        assert first is not None
        return first[1], most

    def _labels_of(self, source: Source) -> tuple[int, npt.NDArray[Any] | None]:
        """c_dim; and a class or a vector for every one of self.names."""
        found = source.labels()
        if found is None:
            return 0, None
        array = np.array([found[name] for name in self.names])
        if array.ndim == 2:
            return array.shape[1], array.astype(np.float32)
        return 1 + max(int(value) for value in found.values() if isinstance(value, int)), array

    def __len__(self) -> int:
        return len(self.names) * (2 if self.xflip else 1)

    def label(self, index: int) -> npt.NDArray[np.float32]:
        """float32 [c_dim]; [0] without labels."""
        found = np.zeros(self.c_dim, np.float32)
        if self._labels is not None:
            value = self._labels[index % len(self.names)]
            if self._labels.ndim == 2:
                found[:] = value
            else:
                found[value] = 1
        return found

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """uint8 [C, H, W]. Raises DatasetError, and IndexError beyond the last one."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        index %= len(self)
        name = self.names[index % len(self.names)]
        try:
            with self.source.open(name) as file:
                pixels = np.array(converted(open_picture(file), MODES[self.channels]), np.uint8)
        except PictureError as error:
            raise DatasetError(f"data {self.source.path}: {name}: {error}") from None
        except Exception as error:  # of the zip
            raise DatasetError(f"data {self.source.path}: {name} cannot be read: {reason_of(error)}") from None
        if pixels.shape[:2] != self.size:  # its first bytes had not told
            wanted, got = (f"{width}x{height}" for height, width in (self.size, pixels.shape[:2]))
            raise DatasetError(f"data {self.source.path}: {name}: expected {wanted}, got {got}")
        pixels = pixels.reshape(*pixels.shape[:2], self.channels).transpose(2, 0, 1)
        return np.ascontiguousarray(pixels[:, :, ::-1] if index >= len(self.names) else pixels)

    def __getitem__(self, index: int) -> Item:
        return self.picture(index), self.label(index)

    def digest(self) -> str:
        """A hash of the pictures, their choice and their kind: the same data has the same."""
        said = [self.source.digest(), self.names, self.xflip, self.channels]
        return hashlib.sha256(repr(said).encode()).hexdigest()
