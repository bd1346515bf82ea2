"""Sizes: percentiles by construction, edge weights, refusals, spheres from sections."""

import numpy as np
import pandas as pd
import pytest

from cathode_tf import InputError
from cathode_tf.statistics.sizes import display_name, size_distribution
from cathode_tf.statistics.stereology import stereo_means, unfold


def table(diameters, images=None):
    d = np.asarray(diameters, float)
    content = {
        "equivalent_diameter_um": d,
        "area_um2": np.pi / 4 * d**2,
        "touches_border": np.zeros(len(d), bool),
        "edge_weight": np.ones(len(d)),
    }
    if images is not None:
        content["image"] = images
    return pd.DataFrame(content)


def sections(spheres, count, random):
    """Profile diameters of spheres that a plane meets: in proportion to their diameter, anywhere."""
    met = random.choice(spheres, count, p=spheres / spheres.sum())
    return met * np.sqrt(1 - random.uniform(size=count) ** 2)


def test_percentiles_of_two_sizes():
    # 100 of 1 um and 100 of 2 um: volumes 1 to 8, so x50 by volume is 2; x10 by number is 1.
    sizes = size_distribution(table([1.0] * 100 + [2.0] * 100), sample_type="dispersed")
    assert sizes["x50_3"].value == pytest.approx(2)
    assert sizes["x10_0"].value == pytest.approx(1)
    # D[4,3] = (1 + 16) / (1 + 8)
    assert sizes["mean_D43"].value == pytest.approx(17 / 9)
    assert sizes["mean_D43"].unit == "um" and "PARTICLES_RESAMPLED" in sizes["mean_D43"].flags


def test_too_few_particles_are_refused():
    sizes = size_distribution(table([1.0, 2.0]), sample_type="section")
    assert sizes["x50_3"].is_refused and "2 whole particles" in str(sizes["x50_3"])


def test_one_particle_that_outgrew_the_frame_is_refused():
    content = table(np.linspace(1, 2, 30))
    content.loc[29, "edge_weight"] = 40.0
    assert size_distribution(content, sample_type="dispersed")["x50_0"].is_refused


def test_sample_type_must_be_said_and_known():
    with pytest.raises(TypeError):
        size_distribution(table([1.0]))
    with pytest.raises(InputError, match="section or dispersed"):
        size_distribution(table([1.0]), sample_type="powder")


def test_images_are_resampled_where_there_are_enough():
    random = np.random.default_rng(0)
    d = random.lognormal(1, 0.3, 600)
    sizes = size_distribution(table(d, np.repeat(np.arange(10), 60)), sample_type="dispersed")
    assert (sizes["x50_3"].n, sizes["x50_3"].unit_of_replication) == (10, "image")
    assert sizes["x50_3"].ci[0] < sizes["x50_3"].value < sizes["x50_3"].ci[1]


def test_groups_are_resampled_where_they_are_the_independent_units():
    random = np.random.default_rng(0)
    # Five electrodes of four images each; particles differ between electrodes, hardly between their images.
    content = table(random.lognormal(1, 0.1, 800), np.repeat(np.arange(20), 40))
    content["group"] = content["image"] // 4
    content["equivalent_diameter_um"] *= 1 + 0.1 * content["group"]
    by_image = size_distribution(content, sample_type="dispersed")["x50_3"]
    by_group = size_distribution(content, sample_type="dispersed", replicate="group")["x50_3"]
    assert (by_group.n, by_group.unit_of_replication) == (5, "group")
    assert set(by_group.components) == {"between_groups"}
    assert by_group.value == by_image.value and by_group.half_width > 1.5 * by_image.half_width


def test_too_few_groups_leave_the_images_and_say_so():
    content = table(np.random.default_rng(0).lognormal(1, 0.3, 600), np.repeat(np.arange(10), 60))
    content["group"] = content["image"] % 2
    found = size_distribution(content, sample_type="dispersed", replicate="group")["x50_3"]
    assert found.unit_of_replication == "image" and "2 groups" in found.flags["GROUPS_NOT_RESAMPLED"]


def test_a_percentile_is_shown_with_its_weighting():
    assert display_name("x50_3") == "D50 (volume)"


def test_equal_spheres_have_exact_moment_means():
    # Planes even over the radius: mean d = pi/4, mean d^2 = 2/3, mean d^3 = 3 pi/16 for D = 1.
    h = (np.arange(200_000) + 0.5) / 200_000
    means = stereo_means(np.sqrt(1 - h**2))
    assert means["D32"] == pytest.approx(1, rel=1e-4)
    assert means["D43"] == pytest.approx(1, rel=1e-4)
    assert means["D10"] == pytest.approx(1, rel=5e-3)


@pytest.mark.parametrize("method", ["em", "saltykov"])
def test_a_blend_of_two_sizes_is_unfolded(method):
    random = np.random.default_rng(4)
    spheres = np.concatenate([random.normal(12, 1.2, 3000), random.normal(4, 0.4, 27_000)])
    order = np.sort(spheres)
    volume = np.cumsum(order**3)
    true = order[np.searchsorted(volume, 0.5 * volume[-1])]
    found = [unfold(sections(spheres, 1000, random), method=method).quantile(0.5) for _ in range(15)]
    assert np.mean(found) == pytest.approx(true, rel=0.02 if method == "em" else 0.08)


def test_a_section_unfolds_to_larger_spheres_than_its_profiles():
    random = np.random.default_rng(5)
    d = sections(np.full(10, 10.0), 500, random)
    section = size_distribution(table(d), sample_type="section", resamples=50)
    assert section["x50_3"].value == pytest.approx(10, rel=0.06)
    assert section["x50_0"].value < 9.5


def test_saltykov_is_an_option_and_the_moments_check_both():
    random = np.random.default_rng(7)
    content = table(sections(random.lognormal(2, 0.2, 5000), 1500, random))
    em = size_distribution(content, sample_type="section", resamples=40)
    classic = size_distribution(content, sample_type="section", unfolding="saltykov", resamples=40)
    true = np.exp(2 + 3 * 0.2**2)
    assert em["x50_3"].value == pytest.approx(true, rel=0.05)
    assert classic["x50_3"].value == pytest.approx(true, rel=0.1) and "Saltykov" in classic["x50_3"].method
    assert em["mean_D43_unfolded"].value == pytest.approx(em["mean_D43"].value, rel=0.05)
    assert "CROSS_CHECK" not in em["x50_3"].flags
    with pytest.raises(InputError, match="em or saltykov"):
        size_distribution(content, sample_type="section", unfolding="guess")


def test_profiles_that_are_not_those_of_spheres_fail_the_cross_check():
    # Equal profiles, as of needles cut across: spheres would show smaller ones, too.
    random = np.random.default_rng(8)
    content = table(random.normal(5, 0.02, 400))
    found = size_distribution(content, sample_type="section", resamples=20)
    ratio = found["mean_D43_unfolded"].value / found["mean_D43"].value
    assert ("CROSS_CHECK" in found["x50_3"].flags) == (abs(ratio - 1) > 0.15)


def test_an_interval_is_where_its_shares_are():
    # 101 equally spaced sizes, all in one image: x50 by number is 50, and the share below it is binomial.
    found = size_distribution(table(np.arange(1.0, 202)), sample_type="dispersed", resamples=2000)["x50_0"]
    # sd of the share: 0.5 / sqrt(201); 1.97 of them are 14 sizes to either side.
    assert found.value == pytest.approx(101)
    assert found.ci[0] == pytest.approx(87, abs=1.5) and found.ci[1] == pytest.approx(115, abs=1.5)


def test_profiles_that_are_not_of_spheres_are_told():
    """Unfolded as if of spheres: said of what is by volume in sections alone, where profiles are 1.5 times as long."""
    content = table(np.linspace(1, 2, 60))
    content["aspect_ratio"] = 1 / 1.5
    sizes = size_distribution(content, sample_type="section")
    assert "1.50 times" in sizes["x50_3"].flags["NOT_SPHERES"] and "NOT_SPHERES" not in sizes["x50_0"].flags
    assert "NOT_SPHERES" not in size_distribution(content, sample_type="dispersed")["x50_3"].flags
    content["aspect_ratio"] = 0.95
    assert "NOT_SPHERES" not in size_distribution(content, sample_type="section")["x50_3"].flags
