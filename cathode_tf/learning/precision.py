"""The hardware in, the number format that trains fastest on it out."""

from __future__ import annotations

from pathlib import Path

import keras

from cathode_tf.errors import InputError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def choose_precision(precision: str = "auto") -> str:
    """The Keras dtype policy to train with.

    `auto` takes `mixed_bfloat16` where the processor (AVX-512 BF16, AMX) or the GPU (compute
    capability 8 and up) computes in it, else `float32`. Weights and outputs are float32 always.

    Raises:
        InputError: If `precision` is not one of `PRECISIONS`.

    Example:
        >>> choose_precision("float32")
        'float32'
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision: must be one of {', '.join(PRECISIONS)}. Received {precision!r}.")
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def _has_bfloat16() -> bool:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            details = tf.config.experimental.get_device_details(gpus[0])
            return details.get("compute_capability", (0, 0))[0] >= 8
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
