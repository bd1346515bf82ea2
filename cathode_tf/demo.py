"""The whole way on synthetic cathodes, in minutes: an empty folder in, records, a model, masks and a report out.

Every step calls the same public function that a lab calls with its own images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cathode_tf.files import atomic_folder, refuse_overwrite
from cathode_tf.ownership import DESKTOP, refuse_foreign

SECTIONS = 16
SECTION_PX = 512
EPOCHS = 2
STEPS_PER_EPOCH = 16
BATCH = 4
"""A fixed number of steps, not of seconds: the same seed gives the same answer on a slow computer too."""
REPLACED = ("sections", "new", "evaluation", "savedmodel", "masks", "analysis")
WRITTEN = {*REPLACED, "records", "run", "report.html"}
NEW_PX = (768, 1024)
"""The images to analyse are larger than those trained on, as in a lab."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        report: The HTML report.
        mean_dice: Mean over the test images of the mean Dice over phases.
        seconds: How long all of it took.
    """

    report: Path
    mean_dice: float
    seconds: float


def run_demo(
    out: str | Path,
    *,
    seed: int = 0,
    force: bool = False,
    tell: Callable[[str], object] = print,
) -> DemoResult:
    """Synthesise, convert, train, evaluate, export, segment, analyse and report.

    Args:
        out: Folder for everything; made if missing.
        seed: The same seed makes the same cathodes.
        force: Replace what an earlier demo left in `out`.
        tell: Takes one line of progress at a time.

    Raises:
        InputError: If `out` is not empty and `force` is not set, or holds what no demo wrote.
    """
    from cathode_tf.synthesis import Parameters, synthesize, write_samples

    out = Path(out)
    if force and out.is_dir():
        others = {path.name for path in out.iterdir() if not path.name.startswith(".")} - WRITTEN - DESKTOP
        refuse_foreign(out, min(others, default=None))
    for path in [out / name for name in REPLACED] if force else [out]:
        refuse_overwrite(path, force)
    start = time.monotonic()

    tell(f"1/7 Synthesising {SECTIONS} annotated cathode sections ...")
    parameters = Parameters.demo()
    samples = synthesize(SECTIONS, seed=seed, height=SECTION_PX, width=SECTION_PX, parameters=parameters)
    drawn = write_samples(samples, out / "sections", force=force)
    unseen = write_samples(_new_sections(parameters, seed + 1), out / "new", force=force)

    records = _convert(drawn, out / "records", parameters.pixel_size_nm, seed, force, tell)
    segmenter, mean_dice, section = _learn(records, out, seed, force, tell)
    report = _analyze(segmenter, unseen, out, parameters.pixel_size_nm, section, force, tell)
    return DemoResult(report, mean_dice, time.monotonic() - start)


def _new_sections(parameters, seed: int):
    """Sections of the batch to analyse; as in a real electrode, the loading varies from place to place."""
    from cathode_tf.synthesis import synthesize

    for index, offset in enumerate((-0.02, -0.005, 0.01, 0.015)):
        local = parameters.replace(ncm_fraction=parameters.ncm_fraction + offset)
        yield synthesize(index + 1, seed=seed, height=NEW_PX[0], width=NEW_PX[1], parameters=local)[index]


def _convert(drawn: Path, out: Path, pixel_size_nm: float, seed: int, force: bool, tell):
    from cathode_tf.datasets import convert, open_records
    from cathode_tf.phases import Phases

    tell("2/7 Converting them to a record set ...")
    phases = Phases.from_toml(drawn / "phases.toml")
    convert(
        drawn / "images",
        drawn / "masks",
        out=out,
        phases=phases,
        split="60/15/25",
        seed=seed,
        pixel_size_nm=pixel_size_nm,
        force=force,
    )
    return open_records(out)


def _learn(records, out: Path, seed: int, force: bool, tell):
    """Train, evaluate and export; what was exported and what segments from here on give equal bytes."""
    from cathode_tf.inference import Segmenter, evaluate, export_savedmodel
    from cathode_tf.learning import train
    from cathode_tf.reporting import evaluation_section

    tell(f"3/7 Training the default model on them, {EPOCHS * STEPS_PER_EPOCH} steps ...")
    run = train(
        records,
        out / "run",
        epochs=EPOCHS,
        steps_per_epoch=STEPS_PER_EPOCH,
        batch=BATCH,
        start="default",
        prior=False,
        seed=seed,
        force=force,
    )
    tell("4/7 Evaluating it on held-out sections, after compiling it for them ...")
    segmenter = Segmenter(run.path)
    evaluation = evaluate(segmenter, records, split="test", out=out / "evaluation", force=force)
    tell(str(evaluation))
    tell("5/7 Exporting it as a SavedModel for a server ...")
    with atomic_folder(out / "savedmodel", force=force) as folder:
        export_savedmodel(segmenter, folder)
    section = evaluation_section(evaluation.to_dict(), run.path / "curves.png", out / "evaluation")
    return segmenter, evaluation.mean_dice, section


def _analyze(segmenter, unseen: Path, out: Path, pixel_size_nm: float, section, force: bool, tell) -> Path:
    from cathode_tf.analysis import analyze
    from cathode_tf.imaging import find_images, iter_micrographs, write_mask, write_overlay
    from cathode_tf.progress import track
    from cathode_tf.reporting import write_report

    tell("6/7 Segmenting new, larger sections ...")
    masks, micrographs = {}, {}
    paths = find_images([unseen / "images"])
    new = (micrograph for path in paths for micrograph in iter_micrographs(path))
    with atomic_folder(out / "masks", force=force) as folder:
        for micrograph in track(new, "Segmenting", total=len(paths)):
            mask = segmenter.segment(micrograph).mask
            masks[micrograph.id], micrographs[micrograph.id] = mask, micrograph.pixels
            write_mask(folder / f"{micrograph.id}_mask.png", mask, segmenter.phases)
            write_overlay(
                folder / f"{micrograph.id}_overlay.png",
                micrograph.pixels,
                mask,
                segmenter.phases,
                pixel_size_nm=pixel_size_nm,
            )
    tell("7/7 Measuring particles, pores and interfaces ...")
    measured = track(masks.items(), "Measuring", total=len(masks))
    analysis = analyze(measured, segmenter.phases, pixel_size_nm=pixel_size_nm)
    analysis.write(out / "analysis", force=force)
    tell("    Drawing the report ...")
    return write_report(
        analysis,
        out / "report.html",
        masks=masks,
        micrographs=micrographs,
        extra=[section],
        title="Synthetic cathode: from sections to numbers",
        force=force,
    )
