"""Run signatures of a SavedModel by TensorFlow's C interface, the loader that TF Serving uses too; no Python of ours or theirs.

    python c_loader.py TENSORFLOW_FOLDER REQUESTS.json OUT.npz

Each request names the folder of a version, the tensor to feed with a `.npy` file or, for `png`, a file's bytes, and
the tensors to fetch.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 4: np.uint8, 17: np.uint16}
STRING, RTLD_GLOBAL = 7, ctypes.RTLD_GLOBAL


class Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Text(ctypes.Structure):
    """`TF_TString`: 24 bytes that the library fills."""

    _fields_ = (("bytes", ctypes.c_char * 24),)


class Library:
    """The few functions of the C interface that are needed, each result a pointer."""

    def __init__(self, folder: Path):
        self.parts = [
            ctypes.CDLL(str(folder / name), RTLD_GLOBAL)
            for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
        ]
        self.status = self.call("NewStatus")

    def call(self, name: str, *arguments, result=ctypes.c_void_p):
        function = next(getattr(part, f"TF_{name}") for part in self.parts if hasattr(part, f"TF_{name}"))
        function.restype = result
        return function(*arguments)

    def checked(self, name: str, *arguments):
        value = self.call(name, *arguments, pointer(self.status))
        if self.call("GetCode", pointer(self.status), result=ctypes.c_int):
            raise SystemExit(self.call("Message", pointer(self.status), result=ctypes.c_char_p).decode())
        return value


def pointer(address):
    return ctypes.c_void_p(address)


class Model:
    """One version, as the C interface loads it."""

    def __init__(self, library: Library, folder: str):
        self.library = library
        self.graph = library.call("NewGraph")
        options = library.call("NewSessionOptions")
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = library.checked(
            "LoadSessionFromSavedModel",
            pointer(options),
            None,
            folder.encode(),
            tags,
            1,
            pointer(self.graph),
            None,
        )

    def output(self, tensor: str) -> Output:
        name, _, index = tensor.partition(":")
        operation = self.library.call("GraphOperationByName", pointer(self.graph), name.encode())
        assert operation, f"no operation {name}"
        return Output(operation, int(index))

    def run(self, feed: str, tensor: int, fetches: list[str]) -> list[np.ndarray]:
        inputs, values = (Output * 1)(self.output(feed)), (ctypes.c_void_p * 1)(tensor)
        outputs = (Output * len(fetches))(*map(self.output, fetches))
        found = (ctypes.c_void_p * len(fetches))()
        count = len(fetches)
        self.library.checked(
            "SessionRun", pointer(self.session), None, inputs, values, 1, outputs, found, count, None, 0, None
        )
        return [self.array(value) for value in found]

    def array(self, tensor: int) -> np.ndarray:
        call, at = self.library.call, pointer(tensor)
        shape = [
            call("Dim", at, axis, result=ctypes.c_int64)
            for axis in range(call("NumDims", at, result=ctypes.c_int))
        ]
        dtype = DTYPES[call("TensorType", at, result=ctypes.c_int)]
        size = call("TensorByteSize", at, result=ctypes.c_size_t)
        return np.frombuffer(ctypes.string_at(call("TensorData", at), size), dtype).reshape(shape)


def tensor_of(library: Library, file: Path) -> int:
    """The pixels of a `.npy` file, or the bytes of any other as one string."""
    if file.suffix == ".npy":
        array = np.ascontiguousarray(np.load(file))
        code = next(code for code, dtype in DTYPES.items() if dtype == array.dtype)
        size, shape = array.nbytes, (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = library.call("AllocateTensor", code, shape, array.ndim, ctypes.c_size_t(size))
        ctypes.memmove(library.call("TensorData", pointer(tensor)), array.ctypes.data, size)
        return tensor
    content, size = file.read_bytes(), ctypes.sizeof(Text)
    tensor = library.call("AllocateTensor", STRING, (ctypes.c_int64 * 1)(1), 1, ctypes.c_size_t(size))
    place = pointer(library.call("TensorData", pointer(tensor)))
    library.call("StringInit", place, result=None)
    library.call("StringCopy", place, content, ctypes.c_size_t(len(content)), result=None)
    return tensor


def main(folder: str, requests: str, out: str) -> None:
    library = Library(Path(folder))
    models: dict[str, Model] = {}
    found: dict[str, np.ndarray] = {}
    for number, request in enumerate(json.loads(Path(requests).read_text(encoding="utf-8"))):
        model = models.setdefault(request["version"], None) or Model(library, request["version"])
        models[request["version"]] = model
        tensor = tensor_of(library, Path(request["file"]))
        arrays = model.run(request["feed"], tensor, list(request["fetch"].values()))
        found |= {f"{number}/{key}": array for key, array in zip(request["fetch"], arrays, strict=True)}
    np.savez(out, **found)
    assert not [name for name in sys.modules if name.split(".")[0] in ("cathode_tf", "tensorflow", "keras")]


if __name__ == "__main__":
    main(*sys.argv[1:])
