"""What several rooms' tests share, and a report of the processor time that each file takes."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

# Before anything imports TensorFlow: its start-up lines would drown the test report.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each processor; threads of theirs would only get in each other's way.
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")

FILES_TOLD = 6
_before_s = 0.0


def _processor_s() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def pytest_collection_finish():
    global _before_s
    _before_s = _processor_s()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Write beside each phase of a test, its fixtures included, what it cost: other work does not change that."""
    global _before_s
    report = yield
    now = _processor_s()
    report.processor_s, _before_s = now - _before_s, now
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Name the files that cost most, and with `--durations=N` the N tests too."""
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            tests[getattr(report, "nodeid", "")] += getattr(report, "processor_s", 0.0)
    files: Counter[str] = Counter()
    for name, seconds in tests.items():
        files[name.partition("::")[0]] += seconds
    if files.total() < 10:
        return
    told = config.getoption("durations") or 0
    terminalreporter.write_line(f"{files.total():.0f} s of processor time in tests; most of it in")
    for name, seconds in files.most_common(max(FILES_TOLD, told)) + tests.most_common(told):
        terminalreporter.write_line(f"  {seconds:6.1f} s  {name}")


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """`shared(name, make)`: the folder of that name, which the first worker that asks lets `make(folder)` make."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        place = base / name
        with FileLock(base / f"{name}.lock"):
            if not place.exists():
                try:
                    make(place)
                except BaseException:
                    shutil.rmtree(place, ignore_errors=True)
                    raise
        return place

    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip that says how to get one."""
    folder = os.environ.get("CATHODE_TF_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set CATHODE_TF_REAL_DATA to the folder with the real data")
    return Path(folder)


@pytest.fixture
def untraced(monkeypatch):
    """Networks and graphs run operation by operation: a small image takes milliseconds, its graph seconds to trace.

    For tests of what becomes of answers. That traced graphs give the same ones is tested where they are traced.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from cathode_tf.inference import Segmenter
    from cathode_tf.inference.graph import SegmentationGraph
    from cathode_tf.inference.network import Network

    traced, made = Segmenter._run, Network.__init__

    def run(self, name, *values):
        if not isinstance(self.graph, SegmentationGraph):  # a SavedModel has no Python any more
            return traced(self, name, *values)
        function = getattr(self.graph, name)
        tensors = (
            value
            if isinstance(value, tf.Tensor)
            else tf.constant(np.asarray(value, spec.dtype.as_numpy_dtype))
            for value, spec in zip(values, function.input_signature, strict=True)
        )
        return function.python_function(*tensors)

    class Step:
        def __init__(self, function):
            self.python_function = function

        def __call__(self, *tensors):
            return self.python_function(*tensors)

    def make(self, model):
        made(self, model)
        self.measure, self.apply = Step(self.measure.python_function), Step(self.apply.python_function)

    monkeypatch.setattr(Network, "__init__", make)
    monkeypatch.setattr(Segmenter, "_run", run)
    monkeypatch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))


@pytest.fixture
def small_project(tmp_path):
    """A project of four 48 x 64 images: vertical stripes of all phases, dark to bright; one is a test image.

    Each has a proposal of round 1 in which the left half of the first stripe (8 of 16 columns, id 0) is
    called 1. `small_project.truth` is the right mask.
    """
    import cv2
    import numpy as np

    from cathode_tf import Phases
    from cathode_tf.imaging import write_mask
    from cathode_tf.rounds import create_project

    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4, dtype=np.uint8), 16)[None].repeat(48, axis=0)
    (tmp_path / "in").mkdir()
    for index in range(4):
        pixels = (40 + 50 * truth + rng.integers(0, 20, truth.shape)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"cell_{index}.png"), pixels)
    project = create_project(tmp_path / "project", Phases.default(), [tmp_path / "in"], test_share=0.25)
    proposal = truth.copy()
    proposal[:, :8] = 1
    uncertainty = np.zeros_like(truth)
    uncertainty[:32, :32] = 200
    rows = []
    for rank, key in enumerate(project.state.images, start=1):
        mask, map_ = f"proposals/{key}/r001_mask.png", f"proposals/{key}/r001_uncertainty.png"
        write_mask(project.path / mask, proposal, project.phases)
        cv2.imwrite(str(project.path / map_), uncertainty)
        rows.append({"key": key, "rank": rank, "score": 0.5 / rank, "mask": mask, "uncertainty": map_})
    project.ledger.append("propose", round=1, model=1, proposals=rows)
    project.truth = truth
    return project
