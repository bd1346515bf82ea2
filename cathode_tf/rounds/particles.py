"""Label images that people corrected in a project in; a separation network that learned from them, if it holds, out.

It is kept as `models/separation.keras`, beside the models, where `segment` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json, temporary_folder
from cathode_tf.imaging.label_images import read_labels
from cathode_tf.rounds.project import SEPARATION, Project
from cathode_tf.rounds.state import ImageState


def particle_files(project: Project, image: ImageState) -> tuple[Path, Path]:
    """The folder that keeps how an image's particles were corrected, and the file that always holds the result."""
    folder = project.path / "particles"
    return folder / image.key, folder / f"{Path(image.name).stem}_{image.key[:6]}_labels.tif"


def corrected_labels(project: Project, image: ImageState, mask: np.ndarray) -> np.ndarray | None:
    """The particles of an image as somebody corrected them, int32; None where nobody did, or on another mask."""
    folder, result = particle_files(project, image)
    card = read_json(folder / "steps.json") if (folder / "steps.json").exists() else {}
    if not card.get("done") or card["mask_sha256"] != pixel_sha256(mask):
        return None
    return read_labels(result)


@dataclass(frozen=True)
class ParticlesLearned:
    """What became of it.

    Attributes:
        path: Of the network, within the project.
        kept: Whether it took its place.
        before, after: AP50 on the images held back, of what was in use and of what was learned.
        learned, held_back: Names of the images.
    """

    path: str
    kept: bool
    before: float
    after: float
    learned: tuple[str, ...]
    held_back: tuple[str, ...]


def learn_particles(project: Project, *, steps: int = 0, who: str | None = None) -> ParticlesLearned:
    """Let the separation network learn from the particles that people corrected in accepted masks.

    It always begins with the network that ships, and learns from all corrected images but those held back: the test
    images, or one where none of these is corrected. It takes the place of what was in use unless fewer particles of the
    images held back agree (AP50).

    Args:
        project: With at least two images whose particles were corrected.
        steps: Batches of patches that the network itself learns from, a second or so each; 0: only how its pieces are
            joined, which takes seconds.
        who: Name for the ledger; default: the user of this process.

    Raises:
        InputError: If fewer than two images were corrected, or no two particles touch in them.
    """
    from cathode_tf.inference.separation import separation_network
    from cathode_tf.inference.separation_tuning import agreement_with, tune_separation
    from cathode_tf.learning.separation_training import Known

    known: dict[str, Known] = {}
    particles = [project.phases[name].id for name in project.phases.with_role("particle")]
    for image in project.state.annotated():
        mask = project.mask(image)
        labels = None if mask is None else corrected_labels(project, image, mask)
        if mask is not None and labels is not None and labels.any():
            known[image.key] = Known(labels, np.isin(mask, particles), project.pixels(image))
    if len(known) < 2:
        raise InputError(
            f"{project.path}: must hold two accepted images whose particles somebody corrected: one to learn from, one "
            f"to check. Received {len(known)}. Correct some on the page Particles: cathode-tf review {project.path}"
        )
    images = project.state.images
    held = [key for key in known if images[key].role == "test"] or [min(known)]
    learned = [key for key in known if key not in held]
    if not learned:
        raise InputError(
            f"{project.path}: must hold a corrected image that is no test image, to learn from. Received {len(held)} "
            f"test images alone. Correct the particles of another: cathode-tf review {project.path}"
        )
    checked = [known[key] for key in held]
    before = agreement_with(checked, separation_network(project.separation)).average_precision()
    with temporary_folder(project.path) as folder:
        network = tune_separation([known[key] for key in learned], folder / "separation.keras", steps=steps)
        after = agreement_with(checked, network).average_precision()
        kept = after >= before
        if kept:
            target = project.path / SEPARATION
            target.parent.mkdir(exist_ok=True)
            (folder / "separation.keras").replace(target)
            separation_network.cache_clear()
    names = [tuple(images[key].name for key in keys) for keys in (learned, held)]
    found = ParticlesLearned(SEPARATION, kept, before, after, *names)
    project.ledger.append(
        "particles",
        who=who,
        path=SEPARATION,
        kept=kept,
        steps=steps,
        images=learned,
        held_back=held,
        ap50_before=round(before, 4),
        ap50_after=round(after, 4),
    )
    return found
