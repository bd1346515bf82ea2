"""A Keras model in, the bare network as ONNX or LiteRT out, with how well it agrees with the Segmenter.

These formats hold the network only. Standardisation, padding to `size_multiple` and the choice of the most
probable phase are the caller's; the JSON file beside says how. Images larger than the file takes need
tiles: use a SavedModel where that matters.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cathode_tf.datasets.standardization import image_statistics, prepared, standardize
from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, refuse_overwrite, write_json
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.serving import golden_images
from cathode_tf.inference.tiles import reflect
from cathode_tf.learning import load_model, read_card

SUFFIX = {"onnx": ".onnx", "litert": ".tflite"}
LITERT_PX = 512


@dataclass(frozen=True)
class Exported:
    """A network in another format.

    Attributes:
        path: The file.
        agreement: Share of pixels of the golden images with the Segmenter's phase.
        differing_px: How many pixels differ.
        compared_px: How many were compared.
        largest_difference: Of a probability.
    """

    path: Path
    agreement: float
    differing_px: int
    compared_px: int
    largest_difference: float


def export_network(
    model: str | Path | keras.Model, out: str | Path, *, form: str, force: bool = False
) -> Exported:
    """Write the bare network as ONNX (any size) or LiteRT (512 x 512 px) and compare it with the Segmenter.

    Args:
        model: A run's folder, a `.keras` file, `"default"` or a Keras model.
        out: The file; its suffix must be `.onnx` or `.tflite`.
        form: `"onnx"` (needs the extra `onnx`) or `"litert"` (needs the extra `litert`).
        force: Replace files that exist.

    Returns:
        Where it is, and how far it agrees.

    Raises:
        InputError: If the extra is missing or the name does not fit.
    """
    out = Path(out)
    if form not in SUFFIX or out.suffix != SUFFIX[form]:
        raise InputError(
            f"{out}: must end in {' or '.join(SUFFIX.values())}, as the format. Received {form}."
        )
    for path in (out, out.with_suffix(".json")):
        refuse_overwrite(path, force)
    network, card = (model, read_card(model)) if isinstance(model, keras.Model) else load_model(model)
    side = None if form == "onnx" else LITERT_PX
    inputs = keras.Input((side, side, 1), batch_size=1, name="pixels")
    bare = keras.Model(inputs, network(inputs))
    with atomic_file(out, force=force) as temporary:
        run = _onnx(bare, temporary) if form == "onnx" else _litert(bare, temporary)
        compared = _compare(Segmenter(network), run, int(card["size_multiple"]), side)
    result = Exported(out, *compared)
    description = {
        "card": card,
        "input": "float32 (1, height, width, 1), (x - mean) / max(std, 1) of the image without outliers, "
        f"{card['standardization']} of cathode_tf.datasets.standardization; resampled before to the card's "
        "pixel_size_nm, if it has one",
        "size": "any multiple of size_multiple" if side is None else f"{side} x {side}",
        "output": "float32 (1, height, width, phases): probabilities in the order of the phases",
        "compared_with_segmenter": {**asdict(result), "path": out.name},
    }
    write_json(out.with_suffix(".json"), description, force=force)
    return result


def _onnx(model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    try:
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise InputError(
            'onnx: needs its packages. Install them with: pip install "cathode-tf[onnx]".'
        ) from error
    model(np.zeros((1, 64, 64, 1), np.float32))
    model.export(str(path), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda z: session.run(None, {name: z})[0]


def _litert(model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(
            'litert: needs its package. Install it with: pip install "cathode-tf[litert]".'
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        model.export(str(file), format="litert", verbose=False)
        path.write_bytes(file.read_bytes())
    interpreter: Any = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    into, out_of = (
        details()[0]["index"] for details in (interpreter.get_input_details, interpreter.get_output_details)
    )

    def run(z: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(into, z)
        interpreter.invoke()
        return interpreter.get_tensor(out_of)

    return run


def _compare(
    segmenter: Segmenter, run: Callable[[np.ndarray], np.ndarray], multiple: int, side: int | None
) -> tuple[float, int, int, float]:
    differing, compared, largest = 0, 0, 0.0
    images = golden_images(segmenter.grid)
    for raw in (images["odd"], images["deep"], images["tiled"][:LITERT_PX, :LITERT_PX]):
        pixels = prepared(raw, segmenter.card["standardization"])
        if side is not None:
            # A file of one size sees the image mirrored up to it, and so must the Segmenter.
            pixels = pixels[np.ix_(*(reflect(np.arange(side), length) for length in pixels.shape))]
        height, width = pixels.shape
        padded = pixels[np.ix_(*(reflect(np.arange(-(-n // multiple) * multiple), n) for n in pixels.shape))]
        z = standardize(padded, *image_statistics(pixels))[None, :, :, None]
        found = run(z)[0, :height, :width]
        expected = segmenter.probabilities(pixels)
        differing += int((found.argmax(-1) != expected.argmax(-1)).sum())
        compared += pixels.size
        largest = max(largest, float(np.abs(found - expected).max()))
    return 1 - differing / compared, differing, compared, largest
