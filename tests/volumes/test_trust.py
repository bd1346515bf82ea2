"""What a change of the volume does to its numbers, against what it must do by construction."""

from dataclasses import dataclass

import numpy as np
import pytest

from cathode_tf.volumes.trust import SHINE, how_far_to_trust


@dataclass
class Made:
    step: str
    how: str
    grey: np.ndarray
    voxel: tuple[float, float, float]


def plates():
    """Pores (20) and solid (200) in plates across y, 16 thick each."""
    grey = np.full((12, 64, 64), 200, np.float32)
    grey[:, (np.arange(64) // 16) % 2 == 0] = 20
    return grey + np.random.default_rng(0).normal(0, 2, grey.shape).astype(np.float32)


def test_each_step_moves_what_it_must_and_nothing_else():
    grey = plates()
    thinner = grey.copy()
    thinner[:, 0:4] = 200
    trust = how_far_to_trust(
        [
            Made("", "as it is", grey, (20, 10, 10)),
            Made("gone", "4 of 32 rows of pores", thinner, (20, 10, 10)),
            Made("still", "nothing", grey, (20, 10, 10)),
            Made("thickness", "+10 %", grey, (22, 10, 10)),
        ]
    )
    rows = {step: changes for step, _, changes in trust.rows}
    assert trust.values["porosity"] == pytest.approx(0.5, abs=0.01)
    assert trust.values["tau_z"] == pytest.approx(1, abs=0.01)
    assert trust.values["carbon-binder share"] is None and len(trust.thresholds) == 1
    # Three faces of 64 x 64 columns on 64 rows of 10 nm: 3 / 0.64 um; 13 directions give it to some percent.
    assert trust.values["surface of the pores"] == pytest.approx(3 / 0.64, rel=0.1)
    assert rows["gone"]["porosity"] == pytest.approx(4 / 64, abs=0.005)
    assert rows["still"]["porosity"] == rows["thickness"]["porosity"] == 0
    assert rows[SHINE]["porosity"] < 0.005
    assert trust.total["porosity"] >= rows["gone"]["porosity"]


@pytest.mark.slow
def test_a_third_grey_level_is_carbon_and_a_wall_that_comes_nearer_is_a_pore():
    rng = np.random.default_rng(1)
    grey = plates()
    grey[:, 48:] = 90 + rng.normal(0, 2, (12, 16, 64))
    # Behind a pore of 16 x 16 columns the wall comes nearer: bright enough for solid, and brighter in each slice.
    grey[:, 0:16, 0:16] = np.linspace(160, 230, 12)[:, None, None] + rng.normal(0, 2, (12, 16, 16))
    trust = how_far_to_trust([Made("", "", grey, (1, 1, 1))], known=False)
    rows = {step: changes for step, _, changes in trust.rows}
    assert trust.values["carbon-binder share"] == pytest.approx(
        0.25, abs=0.05
    )  # edges between pore and solid are grey, too
    assert trust.unit == "1/px"
    # 11 of 12 layers, less what the blur of the grey levels takes from the edges of the pore.
    assert rows[SHINE]["porosity"] == pytest.approx(11 / 12 * 16 * 16 / 64**2, rel=0.25)
