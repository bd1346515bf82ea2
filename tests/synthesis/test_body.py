"""A body is one thing, however it is looked at: planes, volumes, grains, outlines, what lies behind."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cathode_tf.synthesis import Body, Imaging, Parameters, synthesize
from cathode_tf.synthesis.acquisition import acquire
from cathode_tf.synthesis.lattice import Field, Grid, Voronoi
from cathode_tf.synthesis.relief import look_behind
from cathode_tf.synthesis.shapes import draw_shapes

SPHERES = Parameters(roughness=0, elongation=0, particle_sigma=0, contact_gap_um=0, inner_porosity=0)
PLANES = [10.0, 40.0, 70.0]


@pytest.fixture(scope="module")
def body():
    parameters = Parameters(fragmentation=0.5, lobes=0.4, pixel_size_nm=150)
    return Body(parameters, seed=(5,), height=120, width=130, planes=PLANES)


def test_a_plane_is_the_same_whenever_and_by_whomever_it_is_asked_for(body):
    again = Body(body.parameters, seed=(5,), height=120, width=130, planes=PLANES)
    later = again.section(55.5)
    first = body.section(12.0), body.section(55.5)
    assert np.array_equal(first[1].mask, later.mask) and np.array_equal(first[1].labels, later.labels)
    assert np.array_equal(first[1].texture, later.texture)


def test_planes_close_by_look_alike_and_particles_keep_their_number(body):
    mask, labels = body.volume([30.0, 30.5, 60.0])
    both = (labels[0] > 0) & (labels[1] > 0)
    assert (mask[0] == mask[1]).mean() > 0.92 > 0.8 > (mask[0] == mask[2]).mean()
    assert (labels[0] == labels[1])[both].mean() > 0.98


def test_fractions_are_met_on_the_planes_together(body):
    found = np.bincount(np.stack([body.section(z).mask for z in PLANES]).ravel(), minlength=4) / (
        3 * 120 * 130
    )
    parameters = body.parameters
    asked = [
        parameters.porosity,
        parameters.ncm_fraction,
        parameters.additive_fraction,
        parameters.binder_fraction,
    ]
    assert found == pytest.approx(asked, abs=1e-3)


def test_a_volume_of_spheres_holds_spheres():
    body = Body(
        SPHERES.replace(ncm_fraction=0.25, pixel_size_nm=300), seed=(1,), height=70, width=70, planes=[0, 60]
    )
    _, labels = body.volume(np.arange(60.0))
    # A particle of 20 px has 4188 voxels; those that the box cuts have fewer, and some touch.
    voxels = np.bincount(labels.ravel())[1:]
    inside = np.ones(voxels.size, bool)
    for face in (labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        inside[face[face > 0] - 1] = False
    diameter = body.section(30.0).population_px[0]
    assert inside.sum() >= 3
    assert np.median(voxels[inside]) == pytest.approx(np.pi / 6 * diameter**3, rel=0.03)


def test_carbon_is_as_long_behind_the_section_as_in_it():
    parameters = SPHERES.replace(pixel_size_nm=200, additive_fraction=0.15, additive_chains=0.5)
    body = Body(parameters, seed=(2,), height=90, width=90, planes=[0, 90])
    carbon = body.volume(np.arange(0.0, 90.0, 1.0))[0] > 1
    changes = [np.count_nonzero(np.diff(carbon.astype(np.int8), axis=axis)) for axis in range(3)]
    # As many walls are crossed along depth, rows and columns; few clusters fit in: one in six.
    assert max(changes) / min(changes) < 1.17


def test_a_field_has_unit_spread_at_every_depth():
    field = Field((1,), (300, 300), 6.0, octaves=3)
    spreads = [field.plane(z, Grid(300, 300)).std() for z in (0.0, 1.5, 3.0, 4.5, 100.25)]
    assert spreads == pytest.approx([1.0] * 5, abs=0.08)


def test_a_coarse_grid_sees_the_same_body():
    field = Field((1,), (64, 64), 16.0)
    fine, coarse = field.plane(3.0, Grid(64, 64)), field.plane(3.0, Grid(64, 64).coarser(4))
    # The centre of four points lies between the second and the third.
    between = fine.reshape(16, 4, 16, 4)[:, 1:3, :, 1:3].mean(axis=(1, 3))
    assert np.abs(between - coarse).max() < 0.05


def test_cells_are_those_of_the_nearest_seed():
    voronoi = Voronoi((3,), (50, 60), 7.0)
    cells = voronoi.plane(20.0, Grid(50, 60))
    points = np.stack(np.meshgrid([20.0], np.arange(50.0), np.arange(60.0), indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    distance, nearest = cKDTree(cells.seeds).query(points)
    assert (nearest == cells.number.ravel()).mean() > 0.995
    assert np.array_equal(voronoi.of(points), cells.identity[cells.number.ravel()])
    assert np.median(np.abs(distance / 7.0 - cells.distance.ravel())) < 1e-5


@pytest.mark.parametrize("changes", [{}, {"angularity": 1.0, "flatness": 0.5, "elongation": 0.4}])
def test_an_outline_encloses_the_volume_of_its_sphere(changes):
    radii = np.full(20, 10.0)
    shapes = draw_shapes(np.random.default_rng(0), radii, Parameters().replace(**changes))
    axis = np.arange(-26, 27, dtype=np.float32)
    voxels = [sum((shapes.gauge(i, float(z), axis, axis) <= 1).sum() for z in axis) for i in range(20)]
    assert np.mean(voxels) == pytest.approx(4 / 3 * np.pi * 1000, rel=0.03)


def test_relief_is_where_the_planes_behind_are_solid():
    parameters = SPHERES.replace(
        pixel_size_nm=100, additive_fraction=0.0, binder_fraction=0.0, ncm_fraction=0.45
    )
    body = Body(parameters, seed=(4,), height=160, width=160, planes=[30.0])
    section = body.section(30.0)
    relief = look_behind(body, 30.0, Grid(160, 160))
    steps = np.arange(0.0, 14.0)
    solid = np.stack([body.section(30.0 + step).labels > 0 for step in steps])
    truth = np.where(solid.any(axis=0), solid.argmax(axis=0), np.inf)
    seen = (section.mask == 0) & np.isfinite(truth) & (truth > 3)
    # Found on three planes up to there, at half resolution: two pixels, where a particle is sixty wide.
    assert seen.sum() > 500 and np.median(np.abs(relief.depth - truth)[seen]) < 2


def test_a_filled_pore_shows_no_wall():
    parameters = SPHERES.replace(infiltration=1.0)
    body = Body(parameters, seed=(4,), height=96, width=96, planes=[30.0])
    section, relief = body.section(30.0), look_behind(body, 30.0, Grid(96, 96))
    imaging = dataclasses.replace(Imaging.plain(), modality="se", shine_through=1.0, grey_filling=200)
    image = acquire(np.random.default_rng(0), section, imaging, relief)
    assert section.filled.sum() > 500 and set(np.unique(image[section.filled])) == {200}


def test_cuts_share_a_body_and_lie_a_particle_apart():
    first, second, third = synthesize(3, seed=2, height=64, width=64, parameters=Parameters(), cuts=2)
    truths = [sample.truth for sample in (first, second, third)]
    assert [truth["body"] for truth in truths] == [0, 0, 1]
    assert truths[1]["depth_um"] - truths[0]["depth_um"] >= Parameters().particle_um
    assert truths[0]["diameter_um"] == truths[1]["diameter_um"] != truths[2]["diameter_um"]
    assert not np.array_equal(first.mask, second.mask)


def test_a_second_detector_sees_the_same_cut():
    sample = synthesize(seed=3, height=128, width=128, parameters=Parameters.se(), second=True)[0]
    assert sample.second is not None and sample.second.shape == sample.image.shape
    by_phase = [sample.second[sample.mask == phase].mean() for phase in (0, 1, 2)]
    assert by_phase[1] > 2 * by_phase[2] > 2 * by_phase[0] * 0.5
    assert sample.image[sample.mask == 2].mean() > 0.8 * sample.image[sample.mask == 1].mean()


def test_no_rule_of_brightness_holds_for_secondary_electrons():
    rng = np.random.default_rng(1)
    drawn = [Parameters.random(rng, "se").imaging for _ in range(100)]
    brighter = np.mean([imaging.grey_additive > imaging.grey_ncm for imaging in drawn])
    assert 0.2 < brighter < 0.8
    assert all(
        p.grey_ncm > p.grey_additive for p in (Parameters.random(rng, "bse").imaging for _ in range(50))
    )


@pytest.mark.slow
def test_no_direction_of_a_body_differs_from_another():
    # Boundaries that a line crosses, along depth, rows and columns alike: where gaps or fields are drawn plane by
    # plane, the first are 5 to 9 % fewer.
    crossed = []
    for seed in range(4):
        parameters = Parameters(particle_um=2, fragmentation=0, elongation=0, inner_porosity=0)
        body = Body(parameters, seed=(seed,), height=128, width=128, planes=[64.0])
        volume, _ = body.volume(range(20, 116), Grid(128, 128))
        crossed.append(
            [np.mean(np.roll(volume, 3, axis)[3:, 3:, 3:] != volume[3:, 3:, 3:]) for axis in range(3)]
        )

    along = np.mean(crossed, axis=0)
    assert along[0] == pytest.approx(along[1:].mean(), rel=0.03)
    assert along[1] == pytest.approx(along[2], rel=0.03)
