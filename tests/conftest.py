"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest

# Before anything imports TensorFlow: its start-up lines would drown the test report.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip that says how to get one."""
    folder = os.environ.get("CATHODE_TF_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set CATHODE_TF_REAL_DATA to the folder with the real data")
    return Path(folder)


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
