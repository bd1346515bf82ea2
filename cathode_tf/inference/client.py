"""Micrograph and the address of a TF Serving in, `Segmentation` out, by gRPC or REST."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.inference.scale import ScaledImage
from cathode_tf.inference.segmentation import Segmentation, phase_fractions
from cathode_tf.phases import Phases

Tensors = dict[str, Any]


class Transport(Protocol):
    """How requests reach a server; failures are `InputError`s that name the address."""

    def predict(self, signature: str, inputs: Tensors) -> dict[str, np.ndarray]: ...

    def signatures(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


class ServingClient:
    """Asks a TF Serving that serves a model of `export_savedmodel`.

    Args:
        address: `"host:8500"` or `"grpc://host:8500"` for gRPC (the faster one, needs the extra
            `serving`), `"http://host:8501"` for REST.
        model: Name of the model on the server.
        version: A version number, or a label such as `"stable"`; default: the server's choice.
        timeout_s: Deadline of one request, in seconds.
        retries: How often a request is sent again when the server is away, after 0.2, 0.4, 0.8 ... seconds.

    Example:
        ```python
        client = ServingClient("http://localhost:8501", model="cathode", version="stable")
        segmentation = client.segment(cathode_tf.read_micrograph("electrode.tif"))
        ```
    """

    def __init__(
        self,
        address: str,
        *,
        model: str,
        version: int | str | None = None,
        timeout_s: float = 120.0,
        retries: int = 3,
    ):
        scheme, _, host = address.rpartition("://")
        if not host or scheme not in ("", "grpc", "http", "https"):
            raise InputError(
                f"address: must look like host:8500, grpc://host:8500 or http://host:8501. Received {address!r}."
            )
        self._transport: Transport
        if scheme in ("http", "https"):
            from cathode_tf.inference.rest import RestTransport

            self._transport = RestTransport(address, model, version, timeout_s, retries)
            self._describe: Callable[[], Any] = lambda: self._predict("describe_by_rest", {"any": ""})
        else:
            from cathode_tf.inference.grpc_transport import GrpcTransport

            self._transport = GrpcTransport(host, model, version, timeout_s, retries)
            self._describe = lambda: self._predict("describe", {})
        self._model, self._address = model, address
        self._description: dict[str, Any] | None = None

    def segment(self, image: np.ndarray | Micrograph) -> Segmentation:
        """Mask and margin of one image; the entropy stays on the server, its mean is the score.

        The image travels as PNG, which loses nothing and is a fraction of the size.

        Args:
            image: A `Micrograph`, or its pixels: uint8 or uint16 (height, width).

        Raises:
            InputError: If the image is none, the server is away or refuses, or the model is another's.
        """
        seen = ScaledImage.of(image, self.card)
        outputs = self._predict("segment_png", {"png": [_png(seen.whole())]})
        mask, margin = (seen.back(outputs[name][0].astype(np.uint8)) for name in ("mask", "margin"))
        score = float(outputs["score"][0])
        return Segmentation(mask, margin, None, phase_fractions(mask, self.phases), score)

    def probabilities(self, image: np.ndarray | Micrograph) -> np.ndarray:
        """Probability of each phase, float32 (height, width, phases); by gRPC only, for small images.

        A `Micrograph` is resampled as for `segment`, and the probabilities brought back like the mask.
        """
        seen = ScaledImage.of(image, self.card)
        pixels = seen.whole().astype(np.uint16)[None, :, :, None]
        return seen.back(self._predict("probabilities", {"image": pixels})["probabilities"][0])

    @property
    def phases(self) -> Phases:
        """Names and ids of the served model."""
        return Phases.from_list(self.description["phases"])

    @property
    def card(self) -> dict[str, Any]:
        """Model card of the served model."""
        return self.description["card"]

    @property
    def description(self) -> dict[str, Any]:
        """Card, phases and grid of the served model, asked once."""
        if self._description is None:
            text = np.asarray(self._describe()["card"]).item()
            self._description = json.loads(text)
        return self._description

    def signatures(self) -> dict[str, Any]:
        """What the server offers: `{signature: {"inputs": {name: (dtype, shape)}, "outputs": {...}}}`."""
        return self._transport.signatures()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _predict(self, signature: str, inputs: Tensors) -> dict[str, np.ndarray]:
        return self._transport.predict(signature, inputs)


def _png(pixels: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".png", pixels)[1].tobytes()
