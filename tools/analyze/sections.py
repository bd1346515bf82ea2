"""`cathode-tf analyze` of sections: a plan of what will be measured, and a run of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from cathode_tf.tools.analyze.telling import read_phases, show, without_pictures

SHOWN = 6
"""So many images at most are shown in the report; all are measured."""


@dataclass(frozen=True)
class Plan:
    """What the options say of a batch of sections.

    Attributes:
        masks: Files and folders of masks, or of micrographs where there is a model.
        out: Folder to write.
        settings: `cathode_tf.analysis.Settings`.
        force: Replace what is in `out`.

    The others are the options of their names.
    """

    masks: tuple[Path, ...]
    out: Path
    settings: Any
    force: bool
    model: str | None
    phases_file: Path | None
    pixel_size_nm: float | None
    odd_pixel_size: bool
    groups_file: Path | None
    evaluation: Path | None
    reference_points: Path | None
    draw_points: int | None
    electrode: Path | None
    drawn_by: str

    def groups(self) -> dict[str, str] | None:
        """The group of each image; a table of the images serves their masks, too."""
        from cathode_tf.datasets.sheets import read_groups

        if self.groups_file is None:
            return None
        groups = read_groups(self.groups_file)
        return {**{f"{name}_mask": group for name, group in groups.items()}, **groups}


@dataclass
class Shown:
    """What the report will show, kept while the images pass by, and where points may be drawn."""

    masks: dict[str, Any] = field(default_factory=dict)
    images: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    drawn_from: dict[str, Any] = field(default_factory=dict)

    def passing(
        self, items: Iterable[tuple], source: Any, plan: Plan, groups: dict[str, str] | None
    ) -> Iterator[tuple]:
        """The images as they come."""
        from cathode_tf.errors import InputError

        for name, mask, image, labels, draws in items:
            if groups is not None and name not in groups:
                from cathode_tf.errors import InputError

                raise InputError(
                    f"{plan.groups_file}: must give the group of every image. {name} is missing."
                )
            if len(self.masks) < SHOWN:
                self._keep(name, mask, image, labels, source)
            if plan.draw_points:
                self.drawn_from[name] = merged(mask, source.phases)
            yield name, mask, image, labels, draws

    def _keep(self, name: str, mask: Any, image: Any, labels: Any, source: Any) -> None:
        from cathode_tf.imaging.plausibility import grey_order
        from cathode_tf.imaging.stories import micrograph_of

        self.masks[name], self.labels[name] = mask, labels
        story = source.stories.get(name)
        if image is None and story is not None:
            image = micrograph_of(story, mask.shape)
        if image is None:
            return
        self.images[name] = image
        doubt = grey_order(
            image, mask, source.phases, None if story is None else story.image.get("acquisition")
        )
        if doubt:
            self.doubts[name] = doubt


def measure_sections(plan: Plan) -> None:
    """Measure a batch, write its folder, print the headline."""
    from cathode_tf.analysis import Electrode, analyze
    from cathode_tf.files import atomic_folder
    from cathode_tf.imaging import find_images
    from cathode_tf.progress import track

    coating = None if plan.electrode is None else Electrode.from_toml(plan.electrode)
    paths = find_images(plan.masks)
    if plan.model is None:
        paths = without_pictures(paths)
    groups, shown = plan.groups(), Shown()
    with atomic_folder(plan.out, force=plan.force) as folder:
        source = source_of(plan, paths, folder)
        analysis = analyze(
            shown.passing(track(source, "Measuring", total=len(paths)), source, plan, groups),
            source.phases,
            pixel_size_nm=source.pixel_size_nm,
            groups=groups,
            settings=plan.settings,
            evaluation=plan.evaluation,
            drawn_by=plan.drawn_by.strip(),
        )
        analysis = replace(analysis, pixel_size_source=source.pixel_size_source, stories=dict(source.stories))
        if plan.model is None:
            analysis = of_files(analysis, source, paths, folder)
        if plan.reference_points is not None:
            analysis = analysis.with_reference_points(read_points(plan.reference_points))
        if coating is not None:
            analysis = analysis.with_electrode(coating)
        write(analysis, shown, plan, folder)
        written = sorted(path.name for path in folder.iterdir())
    for name, doubt in shown.doubts.items():
        click.echo(f"Warning: {name}: {doubt}.", err=True)
    show(analysis)
    click.echo(f"Wrote {', '.join(written)} to {plan.out}. Open {plan.out / 'report.html'} in a browser.")


def source_of(plan: Plan, paths: list[Path], folder: Path) -> Any:
    """The masks one by one: of files, or of a model that segments micrographs now."""
    from cathode_tf.imaging.micrographs import refuse_odd_size
    from cathode_tf.imaging.phase_files import write_phases
    from cathode_tf.inference.batches import Masks, Segmented

    if plan.model is not None:
        segmented = Segmented(plan.model, paths, plan.pixel_size_nm, folder / "masks")
        write_phases(folder / "masks", segmented.phases)
        return segmented
    source = Masks(paths, read_phases(paths, plan.phases_file), plan.pixel_size_nm)
    for name, size in source.sizes.items():
        if not plan.odd_pixel_size and plan.pixel_size_nm is None:
            refuse_odd_size(size, name)
    if plan.pixel_size_nm is None and source.pixel_size_nm is not None:
        click.echo(f"Pixel size {source.pixel_size_nm:.5g} nm: {source.pixel_size_source}.")
    return source


def of_files(analysis: Any, source: Any, paths: list[Path], folder: Path) -> Any:
    """The analysis with what is known of mask files; masks of each of several pixel sizes get a folder of their own."""
    from cathode_tf.reporting import write_by_magnification

    files = {name: str(path.absolute()) for name, path in zip(source.stories, paths, strict=True)}
    analysis = replace(analysis, mask_files=files, mixed=source.mixed)
    analysis = replace(analysis, verification=verified(paths, analysis))
    written = write_by_magnification(analysis, source.__iter__, source.sizes, folder)
    for size, count in written.items():
        click.echo(f"{count} masks of {size:.4g} nm a pixel: lengths in {size:.4g}nm/report.html.")
    return analysis


def write(analysis: Any, shown: Shown, plan: Plan, folder: Path) -> None:
    """Tables, points to be labelled where they were asked for, and the report."""
    from cathode_tf.reporting import write_report
    from cathode_tf.statistics import draw_reference_points

    if plan.draw_points:
        points = draw_reference_points(shown.drawn_from, analysis.phases, plan.draw_points)
        points.to_csv(folder / "reference_points.csv", index=False)
    analysis.write_into(folder)
    click.echo("Drawing the report ...", err=True)
    write_report(
        analysis, folder / "report.html", masks=shown.masks, micrographs=shown.images, labels=shown.labels
    )


def verified(paths: list[Path], analysis):
    """What labelled points beside the masks found; what cannot be used is told."""
    from cathode_tf.analysis.checks import verification_beside

    hashes = {path.name: image.sha256 for path, image in zip(paths, analysis.images, strict=True)}
    found, why_not = verification_beside(paths, hashes)
    if why_not:
        click.echo(why_not)
    return found


def merged(mask, phases):
    """The mask as it is counted, `pore_back` as pore: points are drawn in the phases whose fractions they correct."""
    from cathode_tf.analysis.image import Settings, merge_pore_back, merges

    return merge_pore_back(mask, phases)[0] if merges(phases, Settings()) else mask


def read_points(path: Path):
    """Table of labelled reference points."""
    import pandas as pd

    from cathode_tf.texts import read_table

    table = read_table(path)
    return pd.DataFrame(table.rows, columns=list(table.columns))
