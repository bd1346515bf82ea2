import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cathode_tf import InputError
from cathode_tf.statistics import Estimate, required_images, required_particles
from cathode_tf.statistics.budget import widened
from cathode_tf.statistics.planning import plan
from cathode_tf.statistics.sizes import size_distribution


def test_enough_images_reach_the_target_and_one_fewer_does_not():
    u, n = 0.01, 6
    needed = required_images(Estimate(0.3, ci=(0.27, 0.33), n=n, components={"a": u}), 0.008)

    def half_width(number: int) -> float:
        return stats.t.ppf(0.975, number - 1) * u * np.sqrt(n / number)

    assert half_width(needed) <= 0.008 < half_width(needed - 1)


def test_no_uncertainty_no_plan():
    assert required_images(Estimate(0.3, n=1), 0.005) is None
    with pytest.raises(InputError):
        required_images(Estimate(0.3, n=1), 0)


def test_more_images_do_not_lessen_what_does_not_come_from_images():
    def needed(**components):
        return required_images(Estimate(0.3, ci=(0.27, 0.33), n=6, components=components), 0.008)

    # 1.96 * 0.003 of +- 0.008 is the points' own; what is left is sqrt(0.008^2 - 0.00588^2) = 0.00542.
    alone = required_images(Estimate(0.3, ci=(0.27, 0.33), n=6, components={"a": 0.01}), 0.005424)
    assert needed(between_images=0.01, reference_points=0.003) == alone
    # 1.96 * 0.01 is more than 0.008, however many images there are.
    assert needed(between_images=0.01, pore_back=0.01) is None
    assert needed(test_images=0.001) is None


def test_more_particles_do_not_lessen_what_does_not_come_from_particles():
    d = np.exp(0.3 * np.random.default_rng(0).standard_normal(400))
    table = pd.DataFrame({"equivalent_diameter_um": d, "area_um2": d**2})
    sizes = {
        "ncm": size_distribution(table.assign(touches_border=False, edge_weight=1.0), sample_type="dispersed")
    }
    found = sizes["ncm"]["x50_3"]

    def planned(relative: float) -> dict:
        d50 = widened(found, "pixel_size", relative * found.value) if relative else found
        (row,) = plan({"fraction": {}, "x50_3": {"ncm": d50}}, sizes)
        return row

    # 1.96 x 0.02 of the 5 % is the pixel's own: sqrt(0.05^2 - 0.0392^2) = 0.0310 is left, 2.6 times the particles.
    assert planned(0.02)["need"] == pytest.approx(
        planned(0)["need"] * 0.05**2 / (0.05**2 - 0.0392**2), rel=1e-2
    )
    # 1.96 x 0.1 is more than 5 %, however many particles there are.
    hopeless = planned(0.1)
    assert hopeless["need"] is None and "no number of whole particles is enough" in hopeless["sentence"]
    assert "pixel size" in hopeless["sentence"]


def test_a_d50_that_is_not_estimable_has_no_number_of_particles():
    d = np.linspace(1, 2, 12)
    table = pd.DataFrame({"equivalent_diameter_um": d, "area_um2": d**2})
    sizes = {
        "ncm": size_distribution(table.assign(touches_border=False, edge_weight=1.0), sample_type="dispersed")
    }
    assert sizes["ncm"]["x50_3"].is_refused
    (row,) = plan({"fraction": {}, "x50_3": {"ncm": sizes["ncm"]["x50_3"]}}, sizes)
    assert row["need"] is None and "needs" not in row["sentence"]


def test_particles_for_a_percentile():
    assert required_particles(1.4, 50) == 756
    assert required_particles(1.4, 90) == 5072
    assert required_particles(1.6, 50) == 3893
    assert required_particles(1.4, 50, weighting="number") < required_particles(1.4, 50)


def test_a_fitted_log_normal_needs_fewer():
    s = np.log(1.4)
    expected = (1.959964 / 0.05) ** 2 * s**2 * (1 + 18 * s**2)
    assert required_particles(1.4, estimator="lognormal") == int(expected)


def test_planned_numbers_hold_in_simulation():
    # Median by volume of 756 log-normal particles: standard deviation 5 % / 1.96 = 2.55 %.
    rng = np.random.default_rng(0)
    d = np.sort(np.exp(np.log(1.4) * rng.standard_normal((2000, 756))), 1)
    share = np.cumsum(d**3, 1) / (d**3).sum(1, keepdims=True)
    median = np.array([np.interp(0.5, row, sizes) for row, sizes in zip(share, d, strict=True)])
    assert np.std(np.log(median)) == pytest.approx(0.05 / 1.96, rel=0.12)


@pytest.mark.parametrize("arguments", [{"sigma_g": 1.0}, {"sigma_g": 1.4, "weighting": "mass"}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError):
        required_particles(**arguments)
