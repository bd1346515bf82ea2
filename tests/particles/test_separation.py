"""Label images from maps: perfect maps give the truth back, whatever the mask lost; outlines; unknown areas."""

import cv2
import numpy as np
import pytest
from skimage.measure import label
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cathode_tf import InputError, Phases
from cathode_tf.particles import ParticleMaps, measure_instances, separate
from cathode_tf.particles.agreement import compare_instances
from cathode_tf.particles.pieces import Pieces
from cathode_tf.particles.separation import climbed

PHASES = Phases.default()


def bricks(high=40, wide=60, rows=3, columns=4):
    """Particles pressed flat: a wall without joints, and its label image."""
    row, column = np.mgrid[: high * rows, : wide * columns]
    return (row // high * columns + column // wide + 1).astype(np.int32)


def perfect_maps(labels, shrink=1):
    """What a network that sees everything would say, at a coarser pixel size."""
    contact = np.zeros(labels.shape, np.float32)
    for axis in (0, 1):
        edge = np.diff(labels, axis=axis) != 0
        first, second = (slice(None, -1), slice(1, None)) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        contact[first][edge] = contact[second][edge] = 1
    inside = (contact == 0) & (labels > 0)
    depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    most = np.array([max(depth[labels == k].max(), 1) for k in range(1, labels.max() + 1)])
    depth = depth / np.append(1, most)[labels]
    if shrink > 1:  # a line must not fade where pixels become larger
        contact = cv2.dilate(contact, np.ones((shrink + 1, shrink + 1)))
    size = labels.shape[1] // shrink, labels.shape[0] // shrink
    return ParticleMaps(
        *(cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) for m in (contact, depth))
    )


@pytest.mark.parametrize("shrink", [1, 2])
def test_maps_part_what_no_outline_parts(shrink):
    truth = bricks()
    mask = np.ones(truth.shape, np.uint8)
    assert separate(mask, PHASES).max() == 1
    found = separate(mask, PHASES, perfect_maps(truth, shrink))
    assert found.dtype == np.int32 and (found > 0).all()
    agreement = compare_instances(found, truth)
    assert agreement.average_precision(0.75) == 1 and agreement.expected == 12


def test_inner_pores_and_a_crack_right_through_part_nothing_where_maps_look_beyond_them():
    truth = bricks()
    mask = np.ones(truth.shape, np.uint8)
    mask[50:70:4, 70:110:4] = 0
    mask[:40, 88:90] = 0
    found = separate(mask, PHASES, perfect_maps(truth))
    assert found.max() == 12 and not found[mask == 0].any()


def test_maps_without_a_contact_join_what_pores_and_necks_would_part():
    # Twenty pores of radius 4 in a disk of 50: the map of centres looks through them.
    random = np.random.default_rng(4)
    rows, columns = np.mgrid[:140, :140] - 70
    whole = rows**2 + columns**2 <= 2500
    mask = whole.astype(np.uint8)
    for row, column in random.uniform(-28, 28, (20, 2)):
        mask[(rows - row) ** 2 + (columns - column) ** 2 <= 16] = 0
    depth = cv2.distanceTransform(whole.astype(np.uint8), cv2.DIST_L2, 5) / 50
    found = separate(mask, PHASES, ParticleMaps(np.zeros(mask.shape, np.float32), depth))
    assert found.max() == 1 and np.array_equal(found > 0, mask == 1)


def test_specks_that_maps_are_too_coarse_for_are_particles_still():
    truth = bricks()
    mask = np.pad(np.ones(truth.shape, np.uint8), ((0, 40), (0, 0)))
    mask[-20, 20] = mask[-20, 60] = 1
    maps = perfect_maps(np.pad(truth, ((0, 40), (0, 0))), 4)
    found = separate(mask, PHASES, maps)
    assert np.array_equal(found > 0, mask == 1)
    assert found[-20, 20] != found[-20, 60] and found[-20, 20] > 0


def test_wrong_input_is_told():
    mask = np.ones((8, 8), np.uint8)
    with pytest.raises(InputError, match="role particle"):
        separate(mask, Phases.from_names(["matrix", "pore"]))
    with pytest.raises(InputError, match="one shape"):
        ParticleMaps(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(InputError, match="height, width"):
        separate(np.zeros((2, 2, 2), np.uint8), PHASES)


def test_unknown_areas_cut_particles_as_the_frame_does():
    # Disks of 20 at random; 30 of every 100 columns unknown. Whole ones are seen in 70 - 42 places of 100,
    # and weigh as many more; those that the unknown area cuts say nothing of sizes.
    random = np.random.default_rng(0)
    side = 1200
    rows, columns = np.mgrid[-20:21, -20:21]
    disk = rows**2 + columns**2 <= 400
    labels = np.zeros((side + 80, side + 80), np.int32)
    placed: list[np.ndarray] = []
    while len(placed) < 170:
        place = random.integers(20, side + 60, 2)
        if all(np.hypot(*(place - other)) > 44 for other in placed):
            placed.append(place)
            labels[place[0] - 20 : place[0] + 21, place[1] - 20 : place[1] + 21][disk] = len(placed)
    labels = labels[40:-40, 40:-40]
    unknown = np.zeros(labels.shape, bool)
    unknown[:, np.arange(side) % 100 >= 70] = True
    # What lies on either side of an unknown area is not known to be one.
    pieces = np.where(unknown, 0, labels + 1000 * (np.arange(side) // 100) * (labels > 0))
    table = measure_instances(pieces, unknown=unknown)
    whole = table[~table.touches_border]
    assert np.average(whole.equivalent_diameter_px, weights=whole.edge_weight) == pytest.approx(40, abs=0.3)
    true = 170 / (side + 40) ** 2
    assert whole.edge_weight.sum() / (~unknown).sum() == pytest.approx(true, rel=0.15)
    halves = len(table) - 0.5 * table.touches_border.sum()
    assert halves / (~unknown).sum() == pytest.approx(true, rel=0.12)
    # A line that an annotator left around particles cuts nothing.
    thin = measure_instances(labels, unknown=cv2.dilate(labels.astype(np.float32), np.ones((3, 3))) != labels)
    assert thin.touches_border.sum() == measure_instances(labels).touches_border.sum()


def test_ways_up_end_where_flooding_ends():
    random = np.random.default_rng(0)
    height = cv2.GaussianBlur(random.random((200, 260), np.float32), (0, 0), 6)
    domain = cv2.GaussianBlur(random.random((200, 260), np.float32), (0, 0), 4) > 0.49
    height = np.where(domain, height, 0)
    found = climbed(height, domain)
    tops = local_maxima(np.pad(height, 1, constant_values=-1))[1:-1, 1:-1] & domain
    flooded = watershed(-height, label(tops, connectivity=2), mask=domain)
    assert np.array_equal(found > 0, domain) and found.max() == flooded.max()
    # They differ along saddles alone, of which this country has many.
    pairs = np.unique(np.stack([found[tops], flooded[tops]]), axis=1)
    assert pairs.shape[1] == found.max()
    same = np.zeros(found.max() + 1, int)
    same[pairs[0]] = pairs[1]
    assert (same[found] == flooded)[domain].mean() > 0.9


def test_level_ground_belongs_to_the_hill_beside_it_and_corners_do_not_connect():
    # A ridge of 5, level ground of 1 on both sides, and a square of 2 that touches at a corner only.
    height = np.zeros((8, 12), np.float32)
    height[:6, :9] = 1
    height[2:4, 4] = 5
    height[6:, 9:] = 2
    found = climbed(height, height > 0)
    assert found[:6, :9].min() == found[:6, :9].max() > 0
    assert found[6:, 9:].min() == found[6:, 9:].max() > 0
    assert found.max() == 2


def test_sums_over_pieces_are_those_of_their_pixels():
    random = np.random.default_rng(1)
    basins = cv2.resize(
        random.integers(0, 30, (9, 11)).astype(np.float64), (88, 72), interpolation=cv2.INTER_NEAREST
    ).astype(np.int32)
    height, contact, grey = random.random((3, 72, 88), np.float32)
    pieces = Pieces(basins, height, contact, grey)
    rows, columns = np.indices(basins.shape)
    for number in range(1, 30):
        mine = basins == number
        x, y, g = columns[mine], rows[mine], grey[mine]
        expected = [mine.sum(), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum(), g.sum()]
        assert np.allclose(pieces.sums[number, :7], expected)
        assert pieces.tops[number, 0] == (height[mine].max() if mine.any() else 0)
        if mine.any():
            hull = cv2.convexHull(np.argwhere(mine)[:, ::-1].astype(np.float32))
            assert cv2.contourArea(pieces.hulls[number]) == cv2.contourArea(hull)
