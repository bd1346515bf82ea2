"""Curtains, light, flicker, thickness and lean against what they were made with."""

import numpy as np
import pytest
from scipy import ndimage

from cathode_tf import reconstruct
from cathode_tf.tomography.brightness import Illumination, find_material, gains, level_of
from cathode_tf.tomography.curtains import find_curtains, find_pattern, without_curtains
from cathode_tf.tomography.ruler import Ruler
from cathode_tf.tomography.thickness import find_thickness
from cathode_tf.tomography.trends import particles_lean

HALFWAY = (40 + 170) / 2


def cleaned(slices):
    pattern = find_pattern(iter(slices))
    rows, columns = (np.arange(side) for side in slices[0].shape)
    steady = 0 if pattern is None else pattern.at(rows, columns)
    found = []
    for pixels in slices:
        values = pixels - np.float32(0) - steady
        found.append(without_curtains(values, find_curtains(values))[0])
    return pattern, np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("stripes", [10.0, 30.0])
def test_curtains_go_and_fractions_come_back(make_stack, stripes):
    made = make_stack(count=40, walk=0.0, stripes=stripes, seed=5)
    pattern, found = cleaned(made.slices)
    assert pattern is not None
    truth = (made.clean > HALFWAY).mean()
    assert abs((found > HALFWAY).mean() - truth) < 0.003
    wrong = [((part > HALFWAY) != (made.clean > HALFWAY)).mean() for part in (made.slices, found)]
    assert wrong[1] < wrong[0]


def test_a_stack_without_curtains_is_left_as_it_is(make_stack):
    made = make_stack(walk=0.0, seed=6)
    pattern, found = cleaned(made.slices)
    assert pattern is None
    np.testing.assert_array_equal(found, made.slices)


def test_flicker_goes_whatever_the_slices_hold(make_stack):
    made = make_stack(count=20, walk=0.0, seed=7)
    rng = np.random.default_rng(0)
    factor = 1 + rng.normal(0, 0.05, 20)
    # The lower half of every third slice is pore: its mean is darker, the material is not.
    slices = made.clean.astype(float)
    slices[::3, 80:] = 40 + rng.normal(0, 8, slices[::3, 80:].shape)
    seen = slices * factor[:, None, None]
    material = find_material(iter(seen), 255.0)
    assert material is not None and abs(material.level - 165) < 12
    found, odd = gains([level_of(pixels, material) for pixels in seen])
    assert not odd
    flat = found * factor
    assert flat.std() / flat.mean() < 0.015


def test_light_that_is_even_is_left_and_uneven_light_is_found(make_stack):
    made = make_stack(count=8, walk=0.0, side=256, seed=8)
    x = np.linspace(-1, 1, 256)
    lit = 1 + 0.15 * x
    for light, expected in ((np.ones(256), None), (lit, lit / lit.mean())):
        seen = made.clean * light
        material = find_material(iter(seen), 255.0)
        illumination = Illumination(255.0)
        for pixels in seen:
            illumination.add(pixels)
        field = illumination.field(material)
        if expected is None:
            assert field is None
        else:
            np.testing.assert_allclose(field.at(256, 256).mean(0), expected, atol=0.04)


@pytest.mark.parametrize("flat", [pytest.param(1.0, marks=pytest.mark.slow), 0.75])
def test_thickness_along_x_alone(flat):
    """Slices every 2 px with a scatter of 25 %; pressing along y must not matter."""
    rng = np.random.default_rng(9)
    steps = np.maximum(rng.normal(2, 0.5, 40), 0.5)
    depth = np.r_[0, steps.cumsum()]
    field = ndimage.gaussian_filter(
        rng.standard_normal((int(depth[-1]) + 3, 200, 240), dtype=np.float32),
        (4.5, 4.5 * flat, 4.5),
        mode="wrap",
    )
    found = find_thickness(measured(field, depth), stated_nm=20.0, pixel_nm=10.0)
    assert abs(found.mean_px / steps.mean() - 1) < max(0.05, 1.96 * found.u_mean)
    relative = found.relative / (steps / steps.mean())
    assert relative.std() < 0.08
    assert "one of them is wrong" not in found.note and not found.seen_through
    assert "one of them is wrong" in find_thickness(measured(field, depth), 40.0, 10.0).note


def measured(field, depth, grey=lambda level: 400 * level, gaps=()):
    ruler = Ruler()
    for number, place in enumerate(depth):
        low, share = divmod(place, 1)
        if number not in gaps:
            ruler.add(grey(field[int(low)] * (1 - share) + field[int(low) + 1] * share))
    return ruler


def sharp(level):
    return 40 + 130 * (level > 0).astype(np.float32)


@pytest.mark.slow
def test_blur_and_noise_are_no_thickness(make_stack):
    """Optics of 2 px blur within a slice, not across: taken for distance, they would add a tenth to the mean."""
    made = make_stack(count=50, side=256, walk=0.0, blur=2.0, noise=20.0, seed=7)
    ruler = Ruler()
    for pixels in made.slices:
        ruler.add(pixels)
    found = find_thickness(ruler, None, None)
    assert abs(found.mean_px / 2 - 1) < 1.96 * found.u_mean and found.u_mean < 0.3
    assert found.blur_px == pytest.approx(2.0, abs=0.5)
    assert found.relative.std() < 0.08  # all slices are of one thickness


@pytest.mark.slow
def test_walls_behind_pores_are_told():
    """Grey fades with the depth at which the next wall lies: pores brighten slowly and darken at once."""
    rng = np.random.default_rng(3)
    solid = (
        ndimage.gaussian_filter(rng.standard_normal((84, 200, 200), dtype=np.float32), 4.5, mode="wrap") > 0
    )
    below = np.full(solid.shape, 30, int)
    for layer in range(len(solid) - 2, -1, -1):
        below[layer] = np.where(solid[layer], 0, below[layer + 1] + 1)
    seen, opaque = (130 * np.exp(-below / reach) + 40 for reach in (6.0, 1e-3))
    depth = np.arange(1, 80, 2.0)
    found = find_thickness(measured(seen.astype(np.float32), depth, lambda level: level), 20.0, 10.0)
    assert found.seen_through and "shines through" in found.note and np.isnan(found.ratio)
    plain = find_thickness(measured(opaque.astype(np.float32), depth, lambda level: level), 20.0, 10.0)
    assert not plain.seen_through and plain.ratio == pytest.approx(1, abs=0.08)


def test_a_missing_slice_makes_none_thicker():
    rng = np.random.default_rng(5)
    field = ndimage.gaussian_filter(rng.standard_normal((60, 200, 200), dtype=np.float32), 4.5, mode="wrap")
    depth = np.arange(1, 55, 2.0)
    gaps = np.ones(len(depth) - 2)
    gaps[9] = 2.0  # from slice 9 to slice 11, which is then the tenth
    ruler = measured(field, depth, sharp, gaps=(10,))
    assert find_thickness(ruler, None, None, gaps=gaps).relative[9] < 1.2
    assert find_thickness(ruler, None, None).relative[9] > 1.3


def test_strong_curtains_do_not_hide_flicker(tmp_path, make_stack):
    """Stripes of 30 grey levels run 40 and 170 together: the bright material is told once they are gone."""
    made = make_stack(count=16, side=160, walk=0.0, stripes=30.0, flicker=0.04, seed=6)
    told = {"tilt_deg": 90, "without": ("align", "thickness")}
    record = reconstruct(made.write(tmp_path / "raw"), tmp_path / "v.zarr", **told).record
    assert (
        "on the material of grey level 1" in record["steps"]["brightness"]
    )  # 150 to 190, never the pores' 40
    gain = np.array([entry["gain"] for entry in record["slices"]])
    flicker = made.slices.mean((1, 2)) / made.clean.mean((1, 2))
    # From slice to slice: black pixels that stripes cannot darken further make a slow change besides.
    assert flicker.std() > 0.02
    assert np.diff(flicker * gain).std() < 0.3 * np.diff(flicker).std()


@pytest.mark.slow
def test_round_particles_tell_how_much_a_volume_leans():
    rng = np.random.default_rng(10)
    z, y, x = np.mgrid[0:60, 0:150, 0:150].astype(np.float32)
    volume = np.zeros(z.shape, np.float32)
    centres: list[np.ndarray] = []
    while len(centres) < 40:
        centre = rng.uniform((10, 15, 15), (50, 135, 135))
        if all(np.linalg.norm(centre - other) > 21 for other in centres):
            centres.append(centre)
    for centre in centres:
        # A layer further, the picture of the ball moves by 0.3 rows and -0.1 columns.
        row, column = (y - centre[1] - 0.3 * (z - centre[0]), x - centre[2] + 0.1 * (z - centre[0]))
        volume[(z - centre[0]) ** 2 + row**2 + column**2 < 81] = 100
    lean = particles_lean(volume + rng.normal(0, 5, volume.shape), (1.0, 1.0, 1.0))
    assert lean is not None and lean.particles > 20
    for found, half, truth in zip(lean.slope, lean.half_width, (0.3, -0.1), strict=True):
        assert abs(found - truth) < max(half, 0.02) and half < 0.1
    assert particles_lean(volume[:, :30, :30], (1.0, 1.0, 1.0)) is None
