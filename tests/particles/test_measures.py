"""Measures of instances against shapes whose values follow by hand, and against scikit-image."""

import numpy as np
import pytest
from skimage.measure import regionprops_table

from cathode_tf import InputError
from cathode_tf.particles.instances import label_instances
from cathode_tf.particles.measures import _edge_weights, measure_instances


def disk(radius, size=240):
    rows, columns = np.mgrid[:size, :size]
    return ((rows - size / 2 + 0.3) ** 2 + (columns - size / 2) ** 2 <= radius**2).astype(np.int32)


def test_a_rectangle_by_hand():
    labels = np.zeros((30, 40), np.int32)
    labels[4:14, 10:30] = 7  # 10 rows, 20 columns
    row = measure_instances(labels, min_shape_px=0).iloc[0]
    assert (row.label, row.area_px2, row.centroid_row_px, row.centroid_column_px) == (7, 200, 8.5, 19.5)
    assert (row.width_px, row.height_px, row.feret_min_px) == (20, 10, 10)
    assert row.solidity == 1 and row.inner_porosity == 0 and not row.touches_border
    assert row.orientation_deg == 0
    # The centroid diagonal, sqrt(19^2 + 9^2), and a pixel.
    assert row.feret_max_px == pytest.approx(np.hypot(19, 9) + 1)
    # Second moments of a w x h block are w^2 / 12 and h^2 / 12: the axes are as 1 to 2.
    assert row.ellipse_ratio == pytest.approx(0.5)
    # (W H) / ((W - w - 1) (H - h - 1)): 40 x 30 over 19 x 19 places.
    assert row.edge_weight == pytest.approx(1200 / 361)


@pytest.mark.parametrize("radius", [15, 40, 100])
def test_a_disk(radius):
    row = measure_instances(disk(radius), pixel_size_nm=50).iloc[0]
    um = 0.05
    assert row.equivalent_diameter_um == pytest.approx(2 * radius * um, rel=0.01)
    assert row.perimeter_um == pytest.approx(2 * np.pi * radius * um, rel=0.015)
    assert row.feret_min_um == pytest.approx(2 * radius * um, abs=1.01 * um)
    assert row.circularity == pytest.approx(1, abs=0.01)
    assert row.aspect_ratio > 0.94 and row.solidity > 0.98


def test_a_ring_has_inner_porosity_and_both_outlines():
    ring = disk(60) - disk(30)
    row = measure_instances(ring).iloc[0]
    assert row.inner_porosity == pytest.approx(0.25, rel=0.01)
    assert row.perimeter_px == pytest.approx(2 * np.pi * 90, rel=0.01)


def test_a_hole_open_to_the_frame_or_shared_by_two_is_no_inner_pore():
    labels = np.ones((9, 9), np.int32)
    labels[:5] = 2
    labels[4, 4] = labels[5, 4] = 0  # between both
    labels[8, 2] = 0  # at the frame
    assert (measure_instances(labels).inner_porosity == 0).all()


def test_columns_agree_with_scikit_image():
    random = np.random.default_rng(3)
    mask = random.normal(size=(300, 300))
    from scipy.ndimage import gaussian_filter

    labels = label_instances((gaussian_filter(mask, 6) > 0).astype(np.uint8), 1)
    ours = measure_instances(labels, min_shape_px=0)
    names = ("area", "centroid", "orientation", "feret_diameter_max", "perimeter_crofton", "solidity")
    theirs = regionprops_table(labels, properties=names)
    assert np.array_equal(ours.area_px2, theirs["area"])
    assert np.allclose(ours.centroid_row_px, theirs["centroid-0"])
    assert np.allclose(ours.perimeter_px, theirs["perimeter_crofton"])
    # scikit-image counts the angle from the row axis.
    assert np.allclose(np.sin(np.radians(ours.orientation_deg - 90)) ** 2, np.sin(theirs["orientation"]) ** 2)
    large = ours.area_px2 > 1000
    assert np.allclose(ours.feret_max_px[large], theirs["feret_diameter_max"][large], atol=1)
    assert np.allclose(ours.solidity[large], theirs["solidity"][large], atol=0.05)


def test_edge_weights_give_the_mean_size_of_what_the_frame_cuts_less_often():
    # Disks of radius 10 to 95 px at random places of a frame of 500 px: max Feret 0.38 of the frame. Large ones
    # are whole less often; weighted, the means are those of all disks: E r = 52.5, E r^3 = (95^4 - 10^4) / (4 85).
    random = np.random.default_rng(0)
    radius = random.uniform(10, 95, 400_000)
    row, column = random.uniform(-100, 600, (2, len(radius)))
    whole = (np.minimum(row, column) > radius) & (np.maximum(row, column) < 500 - radius)
    r = radius[whole]
    # The outermost pixels count as border: a box must stay a pixel away from the frame.
    columns = {"width": 2 * r - 1, "height": 2 * r - 1, "border": np.zeros(len(r), bool)}
    w = _edge_weights(columns, (500, 500))
    assert (w * r).sum() / w.sum() == pytest.approx(52.5, rel=0.01)
    assert (w * r**3).sum() / w.sum() == pytest.approx((95**4 - 10**4) / (4 * 85), rel=0.01)
    assert np.mean(r**3) < 0.8 * (95**4 - 10**4) / (4 * 85)


def test_small_instances_have_no_shape_and_pixels_have_no_unit():
    labels = np.zeros((20, 20), np.int32)
    labels[2:8, 2:8] = 1
    labels[12:15, 12:15] = 2
    table = measure_instances(labels)
    assert table.circularity.isna().all() and not table.area_px2.isna().any()
    assert not [name for name in table if name.endswith(("_um", "_um2"))]
    assert table.nearest_neighbour_px.tolist() == pytest.approx([np.hypot(8.5, 8.5)] * 2)


def test_an_empty_image_gives_the_columns_and_no_row():
    table = measure_instances(np.zeros((5, 5), np.int32), pixel_size_nm=10)
    assert len(table) == 0 and "area_um2" in table


def test_wrong_input_is_told():
    with pytest.raises(InputError, match="integer"):
        measure_instances(np.zeros((5, 5)))
    with pytest.raises(InputError, match="pixel"):
        measure_instances(np.ones((5, 5), int), pixel_size_nm=0)
