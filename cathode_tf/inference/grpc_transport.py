"""TF Serving's gRPC interface: tensors in, protocol buffers over HTTP/2, tensors out."""

from __future__ import annotations

from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.inference.retry import ServerAway, with_retries

try:
    import grpc
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
except ImportError as error:
    raise InputError(
        "grpc: needs the package tensorflow-serving-api. "
        'Install it with: python -m pip install "cathode-tf[serving]", or use an http:// address.'
    ) from error

import tensorflow as tf

_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class GrpcTransport:
    """Requests to a PredictionService, with raised message limits, deadlines and retries."""

    def __init__(self, address: str, model: str, version: int | str | None, timeout_s: float, retries: int):
        self._address, self._model, self._version = address, model, version
        self._timeout_s, self._retries = timeout_s, retries
        self._channel = grpc.insecure_channel(address, options=_UNLIMITED)
        self._stub = PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest()
        self._address_to(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._ask(self._stub.Predict, request)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def signatures(self) -> dict[str, Any]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._address_to(request.model_spec)
        response = self._ask(self._stub.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {
            name: {
                side: {key: _spec(info) for key, info in getattr(entry, side).items()}
                for side in ("inputs", "outputs")
            }
            for name, entry in found.signature_def.items()
            if not name.startswith("__")
        }

    def close(self) -> None:
        self._channel.close()

    def _address_to(self, spec: Any) -> None:
        spec.name = self._model
        if isinstance(self._version, int):
            spec.version.value = self._version
        elif self._version is not None:
            spec.version_label = self._version

    def _ask(self, method: Any, request: Any) -> Any:
        try:
            return with_retries(lambda: self._once(method, request), self._retries)
        except ServerAway as error:
            raise InputError(
                f"{self._address}: must be a TF Serving's gRPC address. No answer ({error}). "
                "Is the server running, and is this its gRPC port (8500 by default)?"
            ) from error

    def _once(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            code, message = error.code(), str(error.details()).strip()[:400]
            if code == grpc.StatusCode.UNAVAILABLE:
                raise ServerAway(message) from error
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise InputError(
                    f"{self._address}: did not answer within {self._timeout_s:g} s. "
                    "Raise timeout_s for large images."
                ) from error
            if code == grpc.StatusCode.NOT_FOUND:
                raise InputError(
                    f"{self._address}: must serve the model {self._model!r}. It answers: {message}"
                ) from error
            raise InputError(f"{self._address}: refused the request: {message}") from error


def _spec(info: Any) -> tuple[str, tuple[int, ...]]:
    return tf.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim)
