"""A small stand-in for TF Serving: the official gRPC stubs and the REST interface, over real sockets.

It loads SavedModels with TensorFlow's own loader, and answers errors with the codes and words of TF Serving's
sources: no uint16 and no input-less signatures by REST, FAILED_PRECONDITION for an unknown signature.
"""

import base64
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class StandIn:
    """Serves `folders`: {model name: {version: folder}} with labels {name: {label: version}}."""

    def __init__(self, folders, labels=None):
        self.models = {
            name: {version: tf.saved_model.load(str(folder)) for version, folder in versions.items()}
            for name, versions in folders.items()
        }
        self.folders, self.labels = folders, labels or {}
        self.away = 0  # how many requests to turn away as unavailable

    def __enter__(self):
        self.grpc = grpc.server(futures.ThreadPoolExecutor(2), options=UNLIMITED)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(self), self.grpc)
        self.grpc_address = f"localhost:{self.grpc.add_insecure_port('localhost:0')}"
        self.grpc.start()
        self.http = ThreadingHTTPServer(("localhost", 0), _handler(self))
        self.rest_address = f"http://localhost:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.grpc.stop(0)
        self.http.shutdown()
        self.http.server_close()

    def version(self, name, version=None, label=None):
        if self.away:
            self.away -= 1
            raise Refused(grpc.StatusCode.UNAVAILABLE, "loading")
        if name not in self.models:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({name})")
        if label:
            version = self.labels.get(name, {}).get(label)
        version = version or max(self.models[name])
        if version not in self.models[name]:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Specific({name})")
        return version

    def signature(self, name, version, key):
        signatures = self.models[name][version].signatures
        key = key or "serving_default"
        if key not in signatures:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        return signatures[key]

    def run(self, signature, tensors):
        specs = signature.structured_input_signature[1]
        if set(specs) != set(tensors):
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                "input size does not match signature" if len(specs) != len(tensors) else "wrong input keys",
            )
        try:
            return signature(**{name: tf.constant(value) for name, value in tensors.items()})
        except (tf.errors.OpError, TypeError, ValueError) as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error

    def definitions(self, name, version):
        content = saved_model_pb2.SavedModel()
        content.ParseFromString((self.folders[name][version] / "saved_model.pb").read_bytes())
        return content.meta_graphs[0].signature_def


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, owner):
        self.owner = owner

    def Predict(self, request, context):
        try:
            spec = request.model_spec
            version = self.owner.version(spec.name, spec.version.value, spec.version_label)
            signature = self.owner.signature(spec.name, version, spec.signature_name)
            tensors = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            outputs = self.owner.run(signature, tensors)
        except Refused as error:
            context.abort(error.code, error.message)
        response = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response

    def GetModelMetadata(self, request, context):
        try:
            spec = request.model_spec
            version = self.owner.version(spec.name, spec.version.value, spec.version_label)
        except Refused as error:
            context.abort(error.code, error.message)
        found = get_model_metadata_pb2.SignatureDefMap()
        for key, value in self.owner.definitions(spec.name, version).items():
            found.signature_def[key].CopyFrom(value)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(found)
        return response


def _handler(owner):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer(self.metadata)

        def do_POST(self):
            self.answer(self.predict)

        def answer(self, produce):
            try:
                code, content = 200, produce()
            except Refused as error:
                codes = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.UNAVAILABLE: 503}
                code, content = codes.get(error.code, 400), {"error": error.message}
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def model(self):
            parts = self.path.removeprefix("/v1/models/").split(":")[0].removesuffix("/metadata").split("/")
            kind, value = parts[1:3] if len(parts) > 2 else ("", "")
            version = int(value) if kind == "versions" else None
            return parts[0], owner.version(parts[0], version, value if kind == "labels" else None)

        def metadata(self):
            from google.protobuf.json_format import MessageToDict

            definitions = owner.definitions(*self.model())
            plain = {
                key: MessageToDict(value, preserving_proto_field_name=True)
                for key, value in definitions.items()
            }
            return {"metadata": {"signature_def": {"signature_def": plain}}}

        def predict(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = self.model()
            signature = owner.signature(name, version, request.get("signature_name"))
            specs = signature.structured_input_signature[1]
            if not specs:
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "Failed to get input map for signature")
            tensors = {}
            for key, value in request["inputs"].items():
                if specs[key].dtype == tf.uint16:
                    raise Refused(grpc.StatusCode.UNIMPLEMENTED, "Conversion of JSON Value to type: uint16")
                tensors[key] = np.array(_decoded(value), specs[key].dtype.as_numpy_dtype)
            outputs = {key: _json(value.numpy()) for key, value in owner.run(signature, tensors).items()}
            return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}

    return Handler


def _decoded(value):
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _json(value):
    return value.decode() if isinstance(value, bytes) else value.tolist()
