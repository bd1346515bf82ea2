"""Volumes whose fractions, surfaces, instances and connections are known."""

import json
import math

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, Phases
from cathode_tf.volumes import Volume, analyze_volume, open_volume
from cathode_tf.volumes.grains import coarse_share, find_grains, local_thickness, measure_grains
from cathode_tf.volumes.percolation import Connecting
from cathode_tf.volumes.voxels import direction_weights

TWO = Phases.from_names(["pore", "ncm"])
THREE = Phases.from_names(["pore", "ncm", "binder"])


def ball(shape, centre, radius, spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    grid = np.ogrid[tuple(slice(0, side) for side in shape)]
    squares = sum(((g - c) * edge) ** 2 for g, c, edge in zip(grid, centre, spacing, strict=True))
    return squares <= radius**2


def balls(seed: int = 0) -> np.ndarray:
    """8 balls of radius 10 voxels, apart, one in each cell of 32 voxels, at random places."""
    rng = np.random.default_rng(seed)
    volume = np.zeros((64, 64, 64), np.uint8)
    for cell in np.ndindex(2, 2, 2):
        volume[ball(volume.shape, np.array(cell) * 32 + rng.uniform(12, 20, 3), 10.0)] = 1
    return volume


def test_balls_have_the_volume_surface_and_number_of_balls():
    analysis = analyze_volume(Volume(balls(), TWO), thickness=False)
    summary = analysis.summary
    assert summary["fraction"]["ncm"].value == pytest.approx(8 * 4 / 3 * math.pi * 1e3 / 64**3, rel=0.01)
    # No ball is near the frame, where diagonal lines are missing: the density is 2-3 % high for this volume.
    assert summary["surface_density"]["ncm"].value == pytest.approx(8 * 4 * math.pi * 100 / 64**3, rel=0.03)
    table = analysis.instances
    assert len(table) == 8
    assert table["equivalent_diameter_px"].median() == pytest.approx(20, rel=0.01)
    assert table["sphericity"].mean() == pytest.approx(1, abs=0.02)
    assert table["ellipsoid_ratio"].min() > 0.97
    assert table["contacts"].sum() == 0
    assert summary["percolating_share"]["ncm|z"].value == 0
    assert summary["percolating_share"]["pore|x"].value == 1
    assert summary["closed_share"]["ncm"].value == 1


def test_flat_voxels_measure_the_same_ball():
    # 40 x 20 x 20 nm voxels: half as many layers for the same ball of 600 nm diameter.
    solid = ball((24, 48, 48), (12, 24, 24), 300.0, (40.0, 20.0, 20.0))
    volume = Volume(solid.astype(np.uint8), TWO, voxel_size_nm=(40.0, 20.0, 20.0))
    analysis = analyze_volume(volume)
    row = analysis.instances.iloc[0]
    assert row["equivalent_diameter_um"] == pytest.approx(0.6, rel=0.01)
    assert row["surface_um2"] == pytest.approx(math.pi * 0.36, rel=0.03)
    assert row["ellipsoid_ratio"] == pytest.approx(1, abs=0.03)


def test_touching_balls_are_separated_and_touch():
    solid = ball((40, 40, 80), (20, 20, 22), 15.0) | ball((40, 40, 80), (20, 20, 50), 15.0)
    analysis = analyze_volume(Volume(solid.astype(np.uint8), TWO), thickness=False)
    assert len(analysis.instances) == 2
    assert analysis.instances["contacts"].tolist() == [1, 1]
    assert analysis.instances["volume_px3"].sum() == solid.sum()


def test_a_coarse_grid_decides_cuts_but_volume_is_counted_in_full():
    solid = ball((64, 64, 64), (32, 32, 32), 25.0)
    share = coarse_share(lambda a, b: solid[a:b], solid.shape, (2, 2, 2))
    assert share.sum() * 8 == pytest.approx(solid.sum())
    grains = find_grains(share, (2.0, 2.0, 2.0), (2, 2, 2))
    table, lost = measure_grains(
        lambda a, b: solid[a:b], solid.shape, grains, spacing=(1.0, 1.0, 1.0), unit="px"
    )
    assert table["volume_px3"].tolist() == [solid.sum()] and lost == 0
    assert table["surface_px2"][0] == pytest.approx(4 * math.pi * 625, rel=0.01)


def test_layers_touch_their_neighbours_only():
    # Layers pore, binder, ncm of 8, 4, 12: pore touches binder at one face, ncm binder at one.
    volume = np.zeros((24, 60, 60), np.uint8)
    volume[8:12], volume[12:] = 2, 1
    summary = analyze_volume(Volume(volume, THREE), thickness=False).summary
    assert summary["contact_fraction"]["ncm|pore"].value == 0
    assert summary["contact_fraction"]["ncm|binder"].value == 1
    assert summary["contact_fraction"]["binder|pore"].value == pytest.approx(0.5, abs=0.03)
    # Through the layers nothing percolates; along them everything does.
    shares = [summary["percolating_share"][f"ncm|{axis}"].value for axis in "zyx"]
    assert shares == [0, 1, 1]


def test_connected_parts_do_not_depend_on_the_slabs():
    from scipy import ndimage

    rng = np.random.default_rng(1)
    solid = ndimage.gaussian_filter(rng.random((50, 40, 40)), 1.5) > 0.5
    connecting = Connecting(50)
    for start in range(0, 50, 7):
        connecting.add(start, solid[start : start + 7])
    found = connecting.result()
    labels, number = ndimage.label(solid)
    sizes = np.bincount(labels.ravel())[1:]
    assert found.parts == number
    assert found.largest_share == pytest.approx(sizes.max() / sizes.sum())
    through = np.intersect1d(labels[0], labels[-1])
    share = sizes[through[through > 0] - 1].sum() / sizes.sum()
    assert found.percolating_share[0] == pytest.approx(share)


def test_a_slit_is_as_thick_as_it_is_wide():
    solid = np.zeros((30, 40, 40), bool)
    solid[10:18] = True
    thickness = local_thickness(solid, (1.0, 1.0, 1.0))
    assert thickness[solid].mean() == pytest.approx(8, abs=1)
    assert (thickness[~solid] == 0).all()


def test_a_ball_is_as_thick_as_its_diameter():
    # Every voxel of a ball is covered by the ball itself; the grid loses about half a voxel on each side.
    solid = ball((28, 28, 28), (13.6, 14.2, 14.0), 10.0)
    assert local_thickness(solid, (1.0, 1.0, 1.0))[solid].mean() == pytest.approx(19, rel=0.06)


def test_thickness_is_part_of_the_sheet():
    solid = np.zeros((24, 24, 24), np.uint8)
    solid[8:16] = 1
    found = analyze_volume(Volume(solid, TWO)).summary["local_thickness"]
    assert found["ncm"].value == pytest.approx(8, abs=1) and set(found) == {"pore", "ncm"}


def test_directions_share_the_sphere():
    for spacing in ((1.0, 1.0, 1.0), (3.0, 1.0, 1.0)):
        assert direction_weights(spacing).sum() == pytest.approx(1)
    # Flat voxels leave a wide gap around z to fill for the direction along z.
    assert direction_weights((0.2, 1.0, 1.0))[DIRECTION_Z] > direction_weights((5.0, 1.0, 1.0))[DIRECTION_Z]


DIRECTION_Z = 8  # (1, 0, 0) in the order of itertools.product


def test_odd_labels_are_read_by_the_values_of_the_phases(tmp_path):
    phases = Phases.from_list(
        [
            {"name": "pore", "id": 0, "values": [0]},
            {"name": "ncm", "id": 1, "values": [85]},
            {"name": "binder", "id": 2, "values": [170]},
        ]
    )
    labels = np.random.default_rng(0).choice([0, 85, 170], (6, 10, 12))
    for dtype in (np.uint8, np.float32, np.int16):
        path = tmp_path / f"{np.dtype(dtype).name}.tif"
        tifffile.imwrite(path, labels.astype(dtype))
        with open_volume(path, phases) as volume:
            assert (volume.read(0, 6) == labels // 85).all()
    with open_volume(tmp_path / "uint8.tif", TWO) as volume, pytest.raises(InputError, match="Received 85"):
        volume.read(0, 6)


def test_files_of_all_kinds_hold_the_same(tmp_path):
    labels = balls()[:40, :30, :50]
    np.save(tmp_path / "v.npy", labels)
    tifffile.imwrite(tmp_path / "v.tif", labels)
    tifffile.imwrite(tmp_path / "packed.tif", labels, compression="zlib")
    for name in ("v.npy", "v.tif", "packed.tif"):
        with open_volume(tmp_path / name, TWO) as volume:
            assert (volume.read(3, 17) == labels[3:17]).all()


def test_ome_zarr_brings_its_voxel_size(tmp_path):
    zarr = pytest.importorskip("zarr")
    labels = balls()[:20, :24, :28]
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="w")
    group.create_array("0", data=labels[None, None])
    group.attrs["multiscales"] = [
        {
            "axes": [
                {"name": "t"},
                {"name": "c"},
                *({"name": a, "unit": "micrometer"} for a in "zyx"),
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.05, 0.02, 0.02]}],
                }
            ],
        }
    ]
    with open_volume(tmp_path / "v.zarr", TWO) as volume:
        assert volume.voxel_size_nm == pytest.approx((50, 20, 20))
        assert (volume.read(0, 20) == labels).all()


def test_writes_what_it_found(tmp_path):
    out = analyze_volume(Volume(balls(), TWO), thickness=False).write(tmp_path / "out")
    content = json.loads((out / "summary.json").read_text())
    assert content["length_unit"] == "px" and content["summary"]["fraction"]["ncm"]["n"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.tif", "does not exist"),
        (lambda p: _written(p / "flat.npy", np.zeros((5, 5))), "z, y, x"),
        (lambda p: _written(p / "words.npy", np.full((4, 4, 4), "ncm")), "numbers"),
        (lambda p: _text(p / "bad.tif"), "must be a TIFF"),
        (lambda p: _text(p / "bad.npy"), "cannot be read"),
        (lambda p: _text(p / "volume.jpg"), "must be a TIFF"),
    ],
)
def test_what_is_no_volume_is_one_clear_error(tmp_path, make, message):
    with pytest.raises(InputError, match=message), open_volume(make(tmp_path), TWO):
        pass


def _written(path, array):
    np.save(path, array)
    return path


def _text(path):
    path.write_text("not a volume")
    return path


@pytest.mark.parametrize("label", [math.nan, math.inf, 0.5, -1])
def test_a_label_of_no_phase_is_told_with_its_layers(label):
    labels = np.zeros((6, 5, 5), np.float32)
    labels[3, 2, 2] = label
    with pytest.raises(InputError, match=f"Received {label:g}.* in layers 0-6"):
        Volume(labels, TWO).read(0, 6)


def test_a_pore_inside_a_ball_parts_nothing():
    solid = ball((40, 40, 40), (20, 20, 20), 15.0) & ~ball((40, 40, 40), (20, 20, 25), 4.0)
    analysis = analyze_volume(Volume(solid.astype(np.uint8), TWO), thickness=False)
    assert analysis.instances["volume_px3"].tolist() == [solid.sum()]
    # The pore is all that no face of the volume reaches.
    closed = ball((40, 40, 40), (20, 20, 25), 4.0).sum() / (~solid).sum()
    assert analysis.summary["closed_share"]["pore"].value == pytest.approx(closed)


@pytest.mark.parametrize("fill", [0, 1])
def test_one_phase_gives_reasons_and_no_nan(fill):
    analysis = analyze_volume(Volume(np.full((20, 20, 20), fill, np.uint8), TWO))
    for estimates in analysis.summary.values():
        for estimate in estimates.values():
            assert estimate.ci is not None or all(estimate.flags.values())


def test_voxel_size_must_be_above_zero():
    with pytest.raises(InputError, match="above 0"):
        Volume(balls(), TWO, voxel_size_nm=(0.0, 1.0, 1.0))


def test_tortuosity_of_a_straight_channel_is_one():
    volume = np.ones((20, 20, 20), np.uint8)
    volume[:, 5:15, 5:15] = 0
    analysis = analyze_volume(
        Volume(volume, TWO, voxel_size_nm=(25, 10, 10)), thickness=False, tortuosity=True
    )
    found = analysis.summary["tortuosity_factor"]
    assert found["pore|z"].value == pytest.approx(1, abs=1e-3)
    assert "face to face" in str(found["pore|x"])


def test_tortuosity_of_pores_in_series():
    # Half of the way through all of the area, half through a quarter of it, in slits so close that levels are even
    # in a layer: resistances 10 + 4 * 10 on a length of 20. From the last open centre to the first in a slit the way
    # has the slit's area all along: 4 * 0.5 in place of 0.5 more, 51.5 together.
    solid = np.ones((20, 8, 8), bool)
    solid[10:] = False
    solid[10:, :, ::4] = True
    from cathode_tf.volumes.tortuosity import relative_diffusivity

    found = relative_diffusivity(solid, (20.0, 1.0, 1.0), 0)
    assert found == pytest.approx(20 / 51.5, rel=1e-3)


@pytest.mark.parametrize("spacing", [pytest.param((1.0, 1.0, 1.0), marks=pytest.mark.slow), (2.0, 1.0, 1.0)])
def test_tortuosity_around_balls_is_maxwells(spacing):
    """Balls far apart, share f: tau = 1 + f / 2 (Maxwell 1873), whatever the voxels' proportions."""
    from cathode_tf.volumes.tortuosity import relative_diffusivity

    count = (int(48 / spacing[0]), 48, 48)
    place = (np.indices(count) + 0.5) * np.reshape(spacing, (3, 1, 1, 1))
    open_space = np.square(place % 48 - 24).sum(0) > 15**2
    share = 1 - open_space.mean()
    for axis in (0, 2):
        tau = open_space.mean() / relative_diffusivity(open_space, spacing, axis)
        assert tau == pytest.approx(1 + share / 2, abs=0.02)


@pytest.mark.parametrize("name", ["empty.npy", "empty.tif", "text.npy", "text.tif"])
def test_a_damaged_volume_is_one_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if "empty" in name else b"no volume at all")
    with (
        pytest.raises(InputError, match=r"cannot be read|must be a"),
        open_volume(path, Phases.default()),
    ):
        pass


def test_edge_weights_of_boxes_are_the_places_that_touch_no_face():
    labels = np.zeros((20, 30, 40), np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    analysis = analyze_volume(Volume(labels, Phases.from_names(["pore", "ncm"])), thickness=False)
    # A box of 10 touches neither end at 20 - 10 - 1 = 9 places of 20, 19 of 30, and 29 of 40.
    expected = 20 * 30 * 40 / (9 * 19 * 29)
    assert analysis.instances["edge_weight"].tolist() == pytest.approx([expected])
