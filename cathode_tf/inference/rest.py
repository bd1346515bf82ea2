"""TF Serving's REST interface: tensors in, JSON over HTTP, tensors out."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.inference.retry import ServerAway, with_retries


class RestTransport:
    """Requests to `http://host:port/v1/models/...`, with deadlines and retries."""

    def __init__(self, address: str, model: str, version: int | str | None, timeout_s: float, retries: int):
        self._address, self._model, self._timeout_s, self._retries = (
            address.rstrip("/"),
            model,
            timeout_s,
            retries,
        )
        self._base = f"{self._address}/v1/models/{urllib.parse.quote(model)}"
        if isinstance(version, int):
            self._base += f"/versions/{version}"
        elif version is not None:
            self._base += f"/labels/{urllib.parse.quote(version)}"

    def predict(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        body = json.dumps(
            {
                "signature_name": signature,
                "inputs": {name: _plain(value) for name, value in inputs.items()},
            }
        ).encode()
        answer = self._ask(self._base + ":predict", body)
        outputs = answer["outputs"]
        # With one output, TF Serving leaves its name out.
        if not isinstance(outputs, dict):
            outputs = {"card" if signature.startswith("describe") else signature: outputs}
        return {name: np.asarray(value) for name, value in outputs.items()}

    def signatures(self) -> dict[str, Any]:
        answer = self._ask(self._base + "/metadata")
        found = answer["metadata"]["signature_def"]["signature_def"]
        return {
            name: {
                side: {key: _spec(info) for key, info in entry.get(side, {}).items()}
                for side in ("inputs", "outputs")
            }
            for name, entry in found.items()
            if not name.startswith("__")
        }

    def close(self) -> None:
        """Nothing stays open between requests."""

    def _ask(self, url: str, body: bytes | None = None) -> Any:
        try:
            return with_retries(lambda: self._once(url, body), self._retries)
        except ServerAway as error:
            raise InputError(
                f"{self._address}: must be a TF Serving's REST address. No answer ({error}). "
                "Is the server running, and is this its REST port (8501 by default)?"
            ) from error

    def _once(self, url: str, body: bytes | None) -> Any:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            message = _message(error)
            if error.code == 503:
                raise ServerAway(message) from error
            if error.code == 404:
                raise InputError(
                    f"{self._address}: must serve the model {self._model!r}. It answers: {message}"
                ) from error
            raise InputError(f"{self._address}: refused the request: {message}") from error
        except TimeoutError as error:
            raise self._late() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._late() from error
            raise ServerAway(str(error.reason)) from error
        except (ConnectionError, json.JSONDecodeError, OSError) as error:
            raise ServerAway(str(error)) from error

    def _late(self) -> InputError:
        return InputError(
            f"{self._address}: did not answer within {self._timeout_s:g} s. Raise timeout_s for large images."
        )


def _message(error: urllib.error.HTTPError) -> str:
    content = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(content)["error"]).strip()[:400]
    except (ValueError, KeyError, TypeError):
        return content.strip()[:400] or str(error.reason)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _spec(info: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    dims = info.get("tensor_shape", {}).get("dim", [])
    return info["dtype"].removeprefix("DT_").lower(), tuple(int(dim["size"]) for dim in dims)
