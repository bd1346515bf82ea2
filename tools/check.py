"""`cathode-tf check`: everything that could be wrong, as a table and a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command("check", epilog="\b\nExample: cathode-tf check records/sample")
@click.argument("path", type=PATH)
@click.argument("masks", type=PATH, required=False)
@click.option(
    "--phases", type=PATH, help="phases.toml, for a folder. [default: pore 0, ncm 1, additive 2, binder 3]"
)
@click.option("--mask-suffix", default="_mask", show_default=True, help="Behind the stem of a mask.")
@click.option("--annotated-only", is_flag=True, help="Leave out images that have no mask.")
@click.option("--max-megapixels", default=400.0, show_default=True, help="Larger images are errors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(
    ctx: click.Context,
    path: Path,
    masks: Path | None,
    phases: Path | None,
    mask_suffix: str,
    annotated_only: bool,
    max_megapixels: float,
    as_json: bool,
) -> None:
    """Look for everything that could be wrong with PATH, a record set, or a folder of images (and MASKS).

    For what micrographs say of themselves, without a verdict: cathode-tf inspect. Of images without a mask this tells
    what the pictures are, no more.
    The exit code is 0 when there is no error, and 1 when there is one. Nothing is written.
    """
    from cathode_tf import Phases
    from cathode_tf.datasets.checking import check, is_record_set, sentences
    from cathode_tf.words import counted

    if masks is None and not is_record_set(path) and _shows_images_alone(path, mask_suffix, as_json):
        return
    report = check(
        path,
        masks,
        phases=Phases.from_toml(phases) if phases else None,
        mask_suffix=mask_suffix,
        annotated_only=annotated_only,
        max_megapixels=max_megapixels,
    )
    if not (as_json or phases or is_record_set(path)):
        click.echo(f"No --phases was given; taken are {Phases.default().describe()}.")
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(report)
        for line in sentences(report.findings):
            click.echo(line)
        errors = sum(finding.severity == "error" for finding in report.findings)
        doubts = len(report.findings) - errors
        verdict = "OK" if report.ok else "NOT OK"
        click.echo(f"{path}: {verdict} ({counted(errors, 'error')}, {counted(doubts, 'warning')})")
    if not report.ok:
        ctx.exit(1)


def _shows_images_alone(path: Path, suffix: str, as_json: bool) -> bool:
    """Where no image has a mask, tell what is in the pictures, which is all there is to tell."""
    from cathode_tf.errors import InputError
    from cathode_tf.imaging import find_images, match_masks
    from cathode_tf.review.folders import folder_table
    from cathode_tf.words import counted

    if as_json:
        return False
    if not path.is_dir():
        rows = folder_table(path)  # a file, or a pattern that the shell did not expand
        for row in rows:
            if not row["use"]:
                raise InputError(f"{row['path']}: {row['note']}")
    else:
        try:
            if any(mask is not None for _, mask in match_masks(find_images(path), None, suffix)):
                return False
        except InputError:  # check itself says it with everything else
            return False
        rows = folder_table(path)
        if not all(row["use"] for row in rows):
            return False
    for row in rows:
        size = (
            f"{row['pixel_size_nm']:.5g} nm ({row['pixel_size_source']})"
            if row["pixel_size_nm"]
            else "unknown"
        )
        odd = f"; {row['note']}" if row["odd"] else ""
        click.echo(
            f"{row['name']}: {row['size'][0]} x {row['size'][1]} px, {row['dtype']}, pixel size {size}{odd}"
        )
    click.echo(
        f"{path}: {counted(len(rows), 'image')} and no mask (NAME{suffix}), so nothing to hold them against. "
        "Give the folder of the masks, or begin without any: cathode-tf app " + str(path)
    )
    return True


def _print(report) -> None:
    if not report.table:
        return
    names = list(report.table[0]["fractions"])
    head = ["split", "images", "groups", "size (px)", "pixel size (nm)", *names, "ignored"]
    lines = [head]
    for row in report.table:
        sizes = [f"{width} x {height}" for height, width in row["sizes"]]
        scales = ["unknown" if size is None else f"{size:.5g}" for size in row["pixel_sizes_nm"]]
        shares = [f"{share:.1%}" for share in (*row["fractions"].values(), row["ignored_fraction"])]
        lines.append(
            [row["split"], str(row["images"]), str(row["groups"]), _some(sizes), _some(scales), *shares]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    click.echo()


def _some(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} others"
