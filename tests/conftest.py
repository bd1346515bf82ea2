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
