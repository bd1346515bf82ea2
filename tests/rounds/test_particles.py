"""Particles corrected in a project teach the separation network, which is used if it holds."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.files import pixel_sha256, write_json
from cathode_tf.imaging.label_images import write_labels
from cathode_tf.inference.separation import network_beside, separation_network
from cathode_tf.rounds import record_review
from cathode_tf.rounds.log import event_line
from cathode_tf.rounds.particles import corrected_labels, learn_particles, particle_files


def correct(project, image, labels):
    """As the page Particles leaves it: the label image, and that somebody drew it."""
    mask = project.mask(image)
    folder, result = particle_files(project, image)
    write_labels(result, labels, force=True)
    card = {"mask_sha256": pixel_sha256(mask), "done": [{"kind": "split"}], "undone": []}
    write_json(folder / "steps.json", card, force=True)


@pytest.fixture
def disks(small_project):
    """Every image shows disks 18 px across in a grid of 16 px, so that they run into each other, corrected."""
    ncm = small_project.phases["ncm"].id
    for key in list(small_project.state.images):
        image = small_project.state.images[key]
        rows, columns = np.indices((image.height, image.width))
        inside = np.hypot(rows % 16 - 7.5, columns % 16 - 7.5) < 9
        mask = np.where(inside, ncm, small_project.phases["pore"].id).astype(np.uint8)
        record_review(small_project, key, "accept", mask=mask, who="ann")
        labels = inside * (rows // 16 * (image.width // 16 + 1) + columns // 16 + 1)
        correct(small_project, small_project.state.images[key], labels.astype(np.int32))
    return small_project


@pytest.mark.slow
def test_what_was_learned_is_used_only_if_no_fewer_held_back_particles_agree(disks, monkeypatch):
    told = learn_particles(disks, who="ann")
    assert told.kept == (told.after >= told.before)
    assert told.kept == (disks.separation is not None)
    tests = {image.name for image in disks.state.images.values() if image.role == "test"}
    assert set(told.held_back) == tests or len(told.held_back) == 1
    assert not set(told.learned) & set(told.held_back)
    event = disks.ledger.events()[-1]
    assert event["event"] == "particles" and "AP50" in event_line(event, disks.state)
    # Whatever was learned is worse from here on: what is in use stays.
    used = disks.separation and disks.separation.read_bytes()
    answers = iter([1.0, 0.5])

    class Told:
        def average_precision(self):
            return next(answers)

    monkeypatch.setattr("cathode_tf.inference.separation_tuning.agreement_with", lambda *given: Told())
    refused = learn_particles(disks)
    assert not refused.kept and (disks.separation and disks.separation.read_bytes()) == used


def test_a_network_beside_the_model_is_the_one_that_segment_uses(disks):
    (disks.path / "models").mkdir(exist_ok=True)
    model = disks.path / "models" / "stable.keras"
    model.write_bytes(b"a model")
    assert network_beside(model) is None
    (disks.path / "models" / "separation.keras").write_bytes(b"a network")
    assert network_beside(model) == disks.separation
    with pytest.raises(InputError, match="cannot be read as a separation network"):
        separation_network(disks.separation)


def test_too_few_corrected_images_are_refused(small_project):
    image = next(iter(small_project.state.images.values()))
    assert corrected_labels(small_project, image, np.zeros((image.height, image.width), np.uint8)) is None
    with pytest.raises(InputError, match="two accepted images whose particles somebody corrected"):
        learn_particles(small_project)
