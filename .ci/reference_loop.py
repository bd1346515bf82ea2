"""Seconds of processor time for a fixed piece of work, so that times of two machines can be compared.

    python .ci/reference_loop.py

Half of it is the interpreter's, half is memory and arithmetic of NumPy on one thread, as in the tests.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time

import numpy as np


def seconds() -> float:
    """Processor time of the loop: the best of three, as other work slows it through the caches."""
    return min(_once() for _ in range(3))


def _once() -> float:
    start = time.process_time()
    total = 0
    for number in range(6_000_000):
        total += number % 7
    matrix = np.random.default_rng(0).random((512, 512), np.float32)
    image = np.random.default_rng(1).random((2048, 2048), np.float32)
    for _ in range(12):
        matrix = matrix @ matrix / 512
        image = np.sqrt(image) + image[::-1]
    return time.process_time() - start


if __name__ == "__main__":
    print(f"{seconds():.2f}")
