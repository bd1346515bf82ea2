"""The tutorial on fragmentation runs and finds what it says."""

import re
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial-fragmentation.md"


@pytest.mark.slow
def test_the_tutorial_finds_the_difference(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL):
        exec(block, names)
    assert names["found"].verdict == "different"
    assert "crack_length_density" in capsys.readouterr().out
