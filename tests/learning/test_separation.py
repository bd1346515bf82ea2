"""The separation network: targets by hand, a network that learns, and one answer whatever the tiles."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases, separate
from cathode_tf.imaging import read_instances, read_micrograph
from cathode_tf.inference import separation
from cathode_tf.inference.separation import SeparationNetwork, particle_maps, separation_network
from cathode_tf.learning.separation import SEPARATION, build_separation, targets
from cathode_tf.learning.separation_training import Known, train_separation
from cathode_tf.particles.agreement import compare_outlines
from cathode_tf.particles.joining import Joining
from cathode_tf.particles.separation import CONTACT
from cathode_tf.synthesis.powders import draw_powder


def test_depth_is_highest_in_the_middle_and_contacts_run_between():
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:20], labels[5:15, 20:35] = 1, 2
    contact, depth = np.moveaxis(targets(labels), -1, 0)
    assert np.flatnonzero(contact[10]).tolist() == [18, 19, 20, 21]
    assert depth[10, 12] == 1 and depth[10, 19] < 0.2 and depth[0, 0] == 0


@pytest.mark.slow
def test_a_network_learns_and_shows_known_particles_at_its_own_size():
    powder = draw_powder(np.random.default_rng(3), 128, 128, 30.0)
    known = Known(powder.labels, powder.mask, powder.image)
    model = build_separation(filters=(8, 12))
    losses = train_separation(model, [known], steps=80, learning_rate=1e-2)
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    with pytest.raises(InputError, match="at least one"):
        train_separation(model, [], steps=1)


def test_the_network_that_ships_is_small_and_tells_what_it_learnt_from():
    network = separation_network()
    assert SEPARATION.stat().st_size < 1_500_000
    assert "drawn powders" in network.card["trained_on"]


def test_the_network_that_ships_knows_how_to_join_with_and_without_a_micrograph():
    rules = separation_network().joining
    plain = Joining.by_contact(CONTACT)
    assert set(rules) == {True, False}
    assert all(len(rule.weights) == len(plain.weights) and rule.weights.any() for rule in rules.values())
    assert rules[True].to_dict() != rules[False].to_dict() != plain.to_dict()


@pytest.mark.slow
def test_touching_powder_particles_are_found_by_their_micrograph(real_data):
    # What the network's card was weighed on, so that this holds the shipped weights, not what new powders may expect
    # (leaving each image out: benchmarks/instances.md).
    file = real_data / "powder_sem/via_powder_particle_masks_training.json"
    path = sorted((real_data / "powder_sem/images").glob("*.png"))[1]
    grey = read_micrograph(path).pixels
    outlines = [(one.window, one.inside) for one in read_instances(file, path.name, grey.shape)]
    mask = np.zeros(grey.shape, bool)
    for window, inside in outlines:
        mask[window] |= inside
    phases = Phases.default()
    labels = separate(np.where(mask, phases["ncm"].id, phases["pore"].id).astype(np.uint8), phases, grey)
    found = compare_outlines(labels, outlines).to_dict()
    assert found["ap50"] > 0.81 and abs(found["count_error"]) < 0.09 and abs(found["median_error"]) < 0.05


def test_tiles_give_the_answer_of_the_whole(monkeypatch):
    network = SeparationNetwork(build_separation(filters=(4, 8)), "a small one")
    powder = draw_powder(np.random.default_rng(1), 200, 240, 30.0)
    whole = particle_maps(powder.mask, powder.image, network=network)
    monkeypatch.setattr(separation, "TILE_PX", 64)
    parts = particle_maps(powder.mask, powder.image, network=network)
    np.testing.assert_allclose(parts.contact, whole.contact, atol=1e-5)
    assert "micrographs and masks" in whole.source


def test_separate_takes_a_mask_with_or_without_its_micrograph():
    powder = draw_powder(np.random.default_rng(2), 160, 160, 36.0)
    phases = Phases.default()
    mask = np.where(powder.mask, phases["ncm"].id, phases["pore"].id).astype(np.uint8)
    for micrograph in (None, powder.image):
        labels = separate(mask, phases, micrograph)
        assert labels.dtype == np.int32 and np.array_equal(labels > 0, powder.mask)
    with pytest.raises(InputError, match="mask's shape"):
        separate(mask, phases, powder.image[1:])
