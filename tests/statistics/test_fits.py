"""Fits: right where the model is true, rejected where it is not."""

import numpy as np
import pandas as pd
import pytest

from cathode_tf import InputError
from cathode_tf.statistics.fits import FIT_REJECTED, fit_distribution, fit_estimates
from cathode_tf.statistics.sizes import size_distribution


def test_a_log_normal_sample_is_fitted_and_converted():
    d = np.random.default_rng(1).lognormal(np.log(5), 0.3, 2000)
    fit = fit_distribution(d, sample_type="dispersed", resamples=60)
    assert not fit.rejected
    assert (fit.scale, fit.shape) == (pytest.approx(5, rel=0.02), pytest.approx(0.3, rel=0.05))
    # x50,3 = x50,0 exp(3 s^2)
    assert fit.quantile(0.5) == pytest.approx(5 * np.exp(3 * 0.09), rel=0.06)


def test_a_weibull_sample_is_fitted_and_converted():
    d = 8 * np.random.default_rng(2).weibull(3.0, 2000)
    fit = fit_distribution(d, "weibull", sample_type="dispersed", resamples=60)
    assert not fit.rejected and fit.shape == pytest.approx(3, rel=0.05)
    order = np.sort(d)
    volume = np.cumsum(order**3)
    assert fit.quantile(0.5) == pytest.approx(order[np.searchsorted(volume, volume[-1] / 2)], rel=0.03)


@pytest.mark.parametrize("model", ["lognormal", "weibull"])
def test_sections_through_spheres_give_the_spheres(model):
    random = np.random.default_rng(3)
    spheres = random.lognormal(2, 0.25, 50_000) if model == "lognormal" else 8 * random.weibull(4, 50_000)
    met = random.choice(spheres, 1500, p=spheres / spheres.sum())
    fit = fit_distribution(
        met * np.sqrt(1 - random.uniform(size=1500) ** 2), model, sample_type="section", resamples=20
    )
    order = np.sort(spheres)
    volume = np.cumsum(order**3)
    assert not fit.rejected
    assert fit.quantile(0.5) == pytest.approx(order[np.searchsorted(volume, volume[-1] / 2)], rel=0.06)


def test_a_blend_of_two_sizes_is_no_log_normal():
    # 12 and 4 um, 1 : 9 by number, 1000 sections: the model must be rejected each time.
    random = np.random.default_rng(4)
    spheres = np.concatenate([random.normal(12, 1.2, 3000), random.normal(4, 0.4, 27_000)])
    for _ in range(2):
        met = random.choice(spheres, 1000, p=spheres / spheres.sum())
        d = met * np.sqrt(1 - random.uniform(size=1000) ** 2)
        fit = fit_distribution(d, sample_type="section", resamples=20)
        assert fit.rejected
        assert fit.distance > 0.05
        with pytest.raises(InputError, match="rejects"):
            fit.quantile(0.5)


def test_wrong_input_is_told():
    with pytest.raises(InputError, match="lognormal or weibull"):
        fit_distribution(np.ones(30), "gauss", sample_type="section")
    with pytest.raises(InputError, match="at least 20"):
        fit_distribution(np.ones(3), sample_type="section")


@pytest.mark.parametrize("model", ["lognormal", "weibull"])
@pytest.mark.parametrize("sample_type", ["dispersed", "section"])
def test_equal_sizes_have_no_distribution_to_fit(model, sample_type):
    with pytest.raises(InputError, match="sizes that differ"):
        fit_distribution(np.full(30, 2.5), model, sample_type=sample_type)


def _table(d, weights=1.0):
    content = {"equivalent_diameter_um": d, "area_um2": d**2, "touches_border": False, "edge_weight": weights}
    return pd.DataFrame({"image": np.arange(len(d)) % 8, **content})


def test_fits_are_estimates_and_a_rejected_one_gives_no_percentile():
    d = np.random.default_rng(5).lognormal(1, 0.4, 800)
    found = fit_estimates(size_distribution(_table(d), sample_type="dispersed", resamples=40))
    median, d50 = found["lognormal_median"], found["x50_3_lognormal"]
    assert median.ci[0] < np.e < median.ci[1] and (median.unit, median.n) == ("um", 8)
    # x50,3 = median exp(3 s^2)
    assert d50.ci[0] < np.exp(1 + 3 * 0.16) < d50.ci[1]
    assert "do not contradict" in d50.flags["GOODNESS_OF_FIT"]
    assert FIT_REJECTED in found["weibull_modulus"].flags and found["x50_3_weibull"].is_refused


def test_weights_make_up_for_what_the_frame_took():
    # Large particles stay whole less often, with a chance that falls with their diameter, and weigh more.
    rng = np.random.default_rng(6)
    d = rng.lognormal(1, 0.3, 20_000)
    stays = np.clip(1 - d / 10, 0.05, 1)
    whole = rng.random(len(d)) < stays
    fit = fit_distribution(d[whole], sample_type="dispersed", weights=1 / stays[whole], resamples=20)
    assert fit.scale == pytest.approx(np.e, rel=0.02) and fit.shape == pytest.approx(0.3, rel=0.03)


def test_too_few_particles_refuse_the_fits_with_the_reason():
    found = fit_estimates(size_distribution(_table(np.array([1.0, 2.0])), sample_type="section"))
    assert all(estimate.is_refused and "2 whole particles" in str(estimate) for estimate in found.values())
