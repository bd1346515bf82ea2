"""The geometry has the truth it tells: spheres, loadings, gaps, cracks."""

import numpy as np
import pytest

from cathode_tf import InputWarning
from cathode_tf.synthesis import Parameters, synthesize
from cathode_tf.synthesis.cracks import Cracks
from cathode_tf.synthesis.fields import least_of, smooth_field
from cathode_tf.synthesis.packing import pack

SMOOTH = Parameters(roughness=0, elongation=0, particle_sigma=0, contact_gap_um=0, inner_porosity=0)


def test_spheres_hardly_overlap_and_fill_their_share():
    parameters = SMOOTH.replace(ncm_fraction=0.45, pixel_size_nm=200)
    packing = pack(np.random.default_rng(0), 160, 160, parameters)
    filled = (4 / 3 * np.pi * packing.radii**3).sum() / np.prod(packing.box)
    assert filled == pytest.approx(0.45, abs=0.01)
    apart = packing.centres[:, None] - packing.centres[None]
    apart -= packing.box * np.round(apart / packing.box)
    gap = np.linalg.norm(apart, axis=2) - packing.radii[:, None] - packing.radii[None]
    np.fill_diagonal(gap, 0)
    assert (
        gap.min() > -0.2 * packing.radii[0] and np.percentile(gap.min(axis=0), 10) > -0.1 * packing.radii[0]
    )


@pytest.mark.slow
def test_sections_of_equal_spheres_have_the_mean_diameter_of_a_random_cut():
    # A random plane that hits a sphere of diameter D cuts a circle of mean diameter pi / 4 D (Wicksell).
    parameters = SMOOTH.replace(ncm_fraction=0.4, particle_um=4)
    ratios = []
    for sample in synthesize(3, seed=5, height=640, width=640, parameters=parameters):
        whole = [row for row in sample.truth["particles"] if not row["touches_border"]]
        ratios += [row["section_diameter_um"] / row["diameter_um"] for row in whole]
    # About 400 sections of spread 0.22: standard error 0.011; a cut below a pixel is not seen.
    assert len(ratios) > 250
    assert np.mean(ratios) == pytest.approx(np.pi / 4, abs=0.03)
    assert max(ratios) < 1.03


def test_sizes_are_those_asked_for():
    parameters = Parameters(particle_um=3, particle_sigma=0.3, ncm_fraction=0.55)
    truth = synthesize(seed=2, height=512, width=512, parameters=parameters)[0].truth["diameter_um"]
    # All diameters carry the one factor that meets the loading of this section.
    assert truth["median"] == pytest.approx(3.0, rel=0.12)
    assert truth["log_std"] == pytest.approx(0.3, abs=0.04)


def test_calendering_keeps_solids_and_takes_pore():
    loose = Parameters(ncm_fraction=0.45, additive_fraction=0.05, binder_fraction=0.05)
    pressed = loose.calendered(0.25)
    sample = synthesize(seed=4, height=200, width=200, parameters=pressed)[0]
    # Thickness 0.75: 0.45 / 0.75 = 0.6 ncm, 0.05 / 0.75 = 0.0667 each, pore 1 - 0.55 / 0.75 = 0.2667.
    fractions = sample.truth["fractions"]
    assert fractions["ncm"] == pytest.approx(0.6, abs=1e-4)
    assert fractions["pore"] == pytest.approx(1 - 0.55 / 0.75, abs=2e-4)


def test_gaps_part_particles_that_touch():
    touching = SMOOTH.replace(ncm_fraction=0.75)
    parted = touching.replace(contact_gap_um=0.4)
    contacts = []
    for parameters in (touching, parted):
        labels = synthesize(seed=1, height=384, width=384, parameters=parameters)[0].labels
        a, b = labels[:, :-1], labels[:, 1:]
        contacts.append(np.count_nonzero((a != b) & (a > 0) & (b > 0)))
    # The width of a gap varies by four fifths of itself, so that one in ten is closed; larger particles touch more.
    assert contacts[0] > 500 and contacts[1] < 0.4 * contacts[0]


def test_intact_particles_are_whole_and_broken_ones_in_pieces():
    base = SMOOTH.replace(particle_um=9, contact_gap_um=0.3)
    table = {}
    for degree in (0.0, 0.5, 1.0):
        sample = synthesize(seed=7, height=384, width=384, parameters=base.replace(fragmentation=degree))[0]
        table[degree] = sample.truth["fragmentation"]
        assert sample.truth["fractions"]["ncm"] == pytest.approx(base.ncm_fraction, abs=1e-4)
    assert table[0.0]["crack_length_um"] == table[0.0]["cracked_particle_fraction"] == 0
    assert table[0.0]["fragmentation_index"] < 0.02
    for name in (
        "cracked_particle_fraction",
        "crack_length_um",
        "fragments_per_particle",
        "fragmentation_index",
    ):
        assert table[0.0][name] < table[0.5][name] < table[1.0][name]
    assert table[1.0]["cracked_particle_fraction"] > 0.8 and table[1.0]["fragments_per_particle"] > 3


def test_crack_length_of_a_circle():
    # Circle of radius 50: every one of its 100 rows is crossed twice, so is every column: pi / 4 * 400 = 2 pi 50.
    y, x = np.mgrid[:128, :128] - 64 + 0.5
    disk = y**2 + x**2 < 50**2
    across, down = np.zeros_like(disk), np.zeros_like(disk)
    across[:, :-1], down[:-1] = disk[:, :-1] != disk[:, 1:], disk[:-1] != disk[1:]
    cracks = Cracks(disk, across, down, np.ones(disk.shape, np.int32), np.zeros(0))
    length = cracks.of(np.array([1]), np.ones(disk.shape, bool)).length_px[0]
    assert length == pytest.approx(2 * np.pi * 50, rel=0.02)


def test_smooth_field_has_unit_spread():
    field = smooth_field(np.random.default_rng(0), 300, 400, 6.0)
    assert field.mean() == pytest.approx(0, abs=0.06) and field.std() == pytest.approx(1, abs=0.1)


def test_least_of_takes_all_when_asked_for_more():
    assert least_of(np.array([1.0, 2.0]), 9) == -np.inf and least_of(np.array([1.0, 2.0]), 0) == np.inf
    assert least_of(np.array([5.0, 1.0, 3.0]), 2) == 3


def test_warns_where_no_room_is_left_for_what_was_asked():
    crowded = Parameters(ncm_fraction=0.9, additive_fraction=0.04, binder_fraction=0.04, fragmentation=1)
    with pytest.warns(InputWarning, match="was asked for"):
        synthesize(seed=1, height=128, width=128, parameters=crowded)[0]


def test_a_particle_that_is_nothing_but_crack_is_not_measured():
    # Particle 2 is crossed once, in its only column, and is not among those present.
    owner = np.array([[1, 1, 2], [1, 1, 2]], np.int32)
    down = np.array([[True, True, True], [False, False, False]])
    none = np.zeros((2, 3), bool)
    cracks = Cracks(none, none, down, owner, np.zeros(0))

    found = cracks.of(np.array([1]), np.ones((2, 3), bool))

    assert found.length_px.tolist() == [pytest.approx(np.pi / 4 * 2)]
