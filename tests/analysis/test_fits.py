"""Fits: right where the model is true, rejected where it is not."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.analysis.fits import fit_distribution


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
