"""A spoken sentence: espeak-ng's library, as the package espeakng-loader brings it, by ctypes."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from .packages import need

RATE = 16000
_SYNCHRONOUS, _UTF8 = 2, 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@cache
def spoken(text: str, pause: float = 0.5) -> np.ndarray:
    """The sentence at 16 kHz from -1 to 1, silence before and behind it."""
    need("espeakng-loader")
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
