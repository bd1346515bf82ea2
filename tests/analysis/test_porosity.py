"""Porosity by mass and thickness, and whether an image agrees with it."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import Electrode, analyze, reconcile_porosity
from cathode_tf.analysis.porosity import gravimetric_porosity
from cathode_tf.statistics import Estimate

COATING = Electrode(
    20.0,
    70.0,
    {"ncm": 0.94, "carbon": 0.03, "pvdf": 0.03},
    {"ncm": 4.75, "carbon": 2.0, "pvdf": 1.78},
    thickness_u=0.7,
    cbd_porosity=(0.3, 0.5),
)


def test_mass_and_thickness_by_hand():
    # 10 x 20 / 70 = 2.857 g/cm3; x (0.94 / 4.75 + 0.03 / 2 + 0.03 / 1.78) = 0.6564; 1 - that; u = that x 0.7 / 70.
    found = gravimetric_porosity(COATING)
    assert found.value == pytest.approx(1 - 0.65642, abs=2e-4)
    assert found.components["thickness"] == pytest.approx(0.0065642, rel=1e-3)
    assert found.unit_of_replication == "electrode"


def test_agreement_by_hand():
    # 0.30 + 0.4 x 0.12 = 0.348; u^2 = 0.01^2 + (0.1 / sqrt(3) x 0.12)^2; against 0.3436 with u = 0.00656.
    image = Estimate(0.30, ci=(0.30 - 0.0196, 0.30 + 0.0196), n=9)
    found = reconcile_porosity(image, Estimate(0.12, n=9), COATING)
    assert found["porosity_total"].value == pytest.approx(0.348)
    gap = found["porosity_difference"]
    half = 1.96 * np.sqrt(0.01**2 + (0.1 / np.sqrt(3) * 0.12) ** 2 + 0.0065642**2)
    assert gap.half_width == pytest.approx(half, rel=2e-3)
    assert "balance agree" in gap.flags["AGREEMENT"] and f"{gap.value / half:.2f}" in gap.flags["AGREEMENT"]
    far = reconcile_porosity(Estimate(0.5, ci=(0.49, 0.51), n=9), None, COATING)["porosity_difference"]
    assert "disagree" in far.flags["AGREEMENT"]


def test_what_cannot_be_is_refused():
    heavy = Electrode(50.0, 70.0, {"ncm": 1.0}, {"ncm": 4.0})
    assert gravimetric_porosity(heavy).is_refused
    assert reconcile_porosity(Estimate(0.3, n=1), None, heavy)["porosity_difference"].is_refused
    with pytest.raises(InputError, match="sum to 1"):
        Electrode(20, 70, {"ncm": 0.5}, {"ncm": 4.0})
    with pytest.raises(InputError, match="thickness_um must be above 0"):
        Electrode(20, 0, {"ncm": 1.0}, {"ncm": 4.0})


def test_an_analysis_carries_it_and_its_file_is_checked(tmp_path):
    rng = np.random.default_rng(0)
    masks = [rng.choice([0, 1, 3], (60, 60), p=[0.3, 0.6, 0.1]).astype(np.uint8) for _ in range(4)]
    summary = analyze(masks, Phases.default()).with_electrode(COATING).summary
    # 0.3 + 0.4 x 0.1 of binder.
    assert summary["porosity_total"]["pore"].value == pytest.approx(0.34, abs=0.02)
    path = tmp_path / "electrode.toml"
    path.write_text(
        "loading_mg_cm2 = 20\nthickness_um = 70\n[[component]]\nname = 'ncm'\nmass_fraction = 1\n"
    )
    with pytest.raises(InputError, match="density_g_cm3' is missing"):
        Electrode.from_toml(path)
    path.write_text(path.read_text() + "density_g_cm3 = 4.7\n")
    assert Electrode.from_toml(path).densities_g_cm3 == {"ncm": 4.7}
    path.write_text("colour = 'red'\n" + path.read_text())
    with pytest.raises(InputError, match="may hold"):
        Electrode.from_toml(path)
