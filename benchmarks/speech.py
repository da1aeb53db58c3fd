"""silero-vad at 16 kHz as a module of torch, and a spoken sentence for it: espeak-ng's library by ctypes."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

RATE = 16000
_SYNCHRONOUS, _UTF8 = 2, 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Speech(nn.Module):
    """silero-vad at 16 kHz: 576 samples, of which the first 64 are the last of the step before, and what the LSTM
    remembers -> the probability of speech, and what it remembers now."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, 1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, 1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> Any:
        x = self.stft_conv(F.pad(x, (0, 64), mode="reflect")[:, None])  # [N, 640] -> [N, 258, 4]
        real, imaginary = x.chunk(2, dim=1)
        x = torch.sqrt(real**2 + imaginary**2)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(x).relu()
        h, c = self.lstm_cell(x.squeeze(-1), (h, c))
        return self.final_conv(h[..., None].relu()).sigmoid().squeeze(-1), h, c


@cache
def spoken(text: str, pause: float = 0.5) -> np.ndarray:
    """The sentence at 16 kHz from -1 to 1, silence before and behind it."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    heard: list[np.ndarray] = []

    def take(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if count:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    assert rate > 0, f"espeak_Initialize gave {rate}"
    callback = _Callback(take)
    library.espeak_SetSynthCallback(callback)
    assert library.espeak_SetVoiceByName(b"en") == 0
    data = text.encode()
    assert library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 0, 0, _UTF8, None, None) == 0
    library.espeak_Synchronize()
    library.espeak_Terminate()
    sound = np.concatenate(heard).astype(np.float32) / 32768
    at = np.arange(int(len(sound) * RATE / rate)) * (rate / RATE)
    silence = np.zeros(int(pause * RATE), np.float32)
    return np.concatenate([silence, np.interp(at, np.arange(len(sound)), sound).astype(np.float32), silence])
