"""`cathode-tf rounds ...`: learn in rounds."""

from __future__ import annotations

import click

from cathode_tf.words import counted


@click.group("rounds", epilog="\b\nExample: cathode-tf rounds init my-project --images photos/")
def command() -> None:
    """Learn in rounds: propose, review, accept, train, promote.

    A project is one folder; every turn is written to its ledger, and any turn can be interrupted
    and taken up again.
    """


_project = click.argument("project", type=click.Path())
_who = click.option("--who", help="Your name for the ledger; default: your user name.")


@command.command(epilog="\b\nExample: cathode-tf rounds init my-project --images photos/ --test 20")
@_project
@click.option(
    "--images", multiple=True, required=True, type=click.Path(), help="Image file or folder; may be repeated."
)
@click.option("--masks", type=click.Path(), help="Folder of masks that exist already, matched by stem.")
@click.option("--phases", type=click.Path(), help="phases.toml; default: pore, ncm, additive, binder.")
@click.option("--groups", type=click.Path(), help="CSV file id,group: images of one stack or electrode.")
@click.option(
    "--test",
    type=click.IntRange(0, 90),
    default=20,
    show_default=True,
    help="Percent of the images to freeze for testing.",
)
@click.option("--seed", default=0, show_default=True, help="Draws the test images.")
def init(project, images, masks, phases, groups, test, seed) -> None:
    """Make PROJECT, a folder, from micrographs."""
    from cathode_tf.phases import Phases
    from cathode_tf.rounds import create_project, read_groups
    from cathode_tf.rounds.status import next_step

    made = create_project(
        project,
        Phases.from_toml(phases) if phases else Phases.default(),
        images,
        masks=masks,
        groups=read_groups(groups) if groups else None,
        test_share=test / 100,
        seed=seed,
    )
    frozen = sum(image.role == "test" for image in made.state.images.values())
    images_in = counted(len(made.state.images), "image")
    click.echo(f"Wrote {project}: {images_in}, {frozen} of them frozen for testing.")
    click.echo(f"Next: {next_step(made)}")


@command.command(epilog="\b\nExample: cathode-tf rounds status my-project")
@_project
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def status(project, as_json) -> None:
    """Show where PROJECT stands and what to do next."""
    import json

    from cathode_tf.rounds import Project
    from cathode_tf.rounds.status import project_status, status_text

    found = project_status(Project(project))
    click.echo(json.dumps(found, indent=2) if as_json else status_text(found))


@command.command(epilog="\b\nExample: cathode-tf rounds add my-project more-photos/")
@_project
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--masks", type=click.Path(), help="Folder of masks that exist already, matched by stem.")
@click.option("--groups", type=click.Path(), help="CSV file id,group: images of one stack or electrode.")
def add(project, images, masks, groups) -> None:
    """Copy more IMAGES into PROJECT."""
    from cathode_tf.rounds import Project, add_images, read_groups

    new = add_images(Project(project), images, masks=masks, groups=read_groups(groups) if groups else None)
    click.echo(f"Wrote {counted(len(new), 'image')} to {project}/images.")


@command.command(epilog="\b\nExample: cathode-tf rounds phases my-project --off additive")
@_project
@click.option("--off", multiple=True, metavar="NAME", help="Switch this phase off; may be repeated.")
@click.option("--all-on", is_flag=True, help="Switch all on again.")
@_who
def phases(project, off, all_on, who) -> None:
    """Say which phases of PROJECT are not there: they are neither proposed nor learned.

    Those that are named are off from now on, the others on. Masks keep what they show.
    """
    from cathode_tf.rounds import Project
    from cathode_tf.rounds.choices import switch_off

    opened = Project(project)
    if off or all_on:
        switch_off(opened, off, who=who)
    for phase in opened.phases:
        click.echo(f"{phase.name}: {'off' if phase.name in opened.state.off else 'on'}")


@command.command(epilog="\b\nExample: cathode-tf rounds scale my-project cell_01 --pixel-size-nm 11.16")
@_project
@click.argument("images", nargs=-1)
@click.option("--pixel-size-nm", type=float, required=True, help="Edge of a pixel.")
@click.option("--odd-pixel-size", is_flag=True, help="Yes, a pixel below 0.05 or above 100,000 nm is meant.")
@click.option("--source", default="given by hand", show_default=True, help="Where it is known from.")
@_who
def scale(project, images, pixel_size_nm, odd_pixel_size, source, who) -> None:
    """Set the pixel size of IMAGES (names); of all images without one where none is named."""
    from cathode_tf.imaging.micrographs import refuse_odd_size
    from cathode_tf.rounds import Project
    from cathode_tf.rounds.choices import set_scale

    if not odd_pixel_size:
        refuse_odd_size(pixel_size_nm)
    opened = Project(project)
    known = opened.state.images.values()
    keys = images or [image.key for image in known if image.pixel_size_nm is None]
    set_scale(opened, keys, pixel_size_nm, source, who=who)
    click.echo(f"Set the pixel size of {counted(len(keys), 'image')}.")


@command.command(epilog="\b\nExample: cathode-tf rounds propose my-project")
@_project
@click.option("--ensemble", type=click.IntRange(1), default=1, show_default=True, help="Models to average.")
@click.option("--show", default=10, show_default=True, help="How many of the ranking to print.")
@_who
def propose(project, ensemble, show, who) -> None:
    """Predict all images that wait, and rank them for review.

    Before the first training, the model that comes with the package makes the first guess.
    """
    from cathode_tf.rounds import Project
    from cathode_tf.rounds import propose as run

    opened = Project(project)
    ranked = run(opened, ensemble=ensemble, who=who)
    click.echo("rank  uncertainty  unlike others  image")
    for row in ranked[:show]:
        image = opened.state.images[row["key"]]
        test = " (test)" if image.role == "test" else ""
        click.echo(f"{row['rank']:>4}  {row['score']:>11.3f}  {row['diversity']:>13.2f}  {image.name}{test}")
    click.echo(f"Wrote {counted(len(ranked), 'proposal')} to {project}/proposals.")
    click.echo(f"Next: cathode-tf review {project}")


@command.command(epilog="\b\nExample: cathode-tf rounds accept my-project cell_01 cell_07")
@_project
@click.argument("images", nargs=-1, required=True)
@click.option("--mask", type=click.Path(), help="Accept this file for the one image instead of its proposal.")
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="Time spent, for the ledger.")
@_who
def accept(project, images, mask, minutes, who) -> None:
    """Accept the proposals of IMAGES (names) as they are, or a mask made elsewhere."""
    from cathode_tf.errors import InputError
    from cathode_tf.imaging import read_annotation
    from cathode_tf.rounds import Project, record_review

    opened = Project(project)
    if mask and len(images) != 1:
        raise InputError(f"--mask: must go with one image. Received {len(images)}.")
    found = [opened.image(name) for name in images]
    without = [image.name for image in found if image.proposal is None and not mask]
    if without:
        raise InputError(f"{without[0]}: has no proposal to accept. Annotate it: cathode-tf review {project}")
    for image in found:
        pixels = None
        if mask:
            pixels = read_annotation(mask, opened.phases, shape=(image.height, image.width))
        event = record_review(opened, image.key, "accept", mask=pixels, who=who, minutes=minutes / len(found))
        click.echo(f"Wrote {project}/{event['mask']} ({image.name})")


def _seconds(ctx, param, value):
    if value is None:
        return None
    number, unit = value[:-1], value[-1]
    if unit not in "smh" or not number.replace(".", "", 1).isdigit() or not float(number):
        raise click.BadParameter(f"{value!r} must be a time such as 90s, 25m or 2h.")
    return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def _training_options(function):
    for option in reversed(
        [
            click.option("--epochs", type=click.IntRange(1), help="Default: as train does."),
            click.option(
                "--steps", type=click.IntRange(1), help="Steps an epoch.  [default: from the image area]"
            ),
            click.option(
                "--time-limit",
                callback=_seconds,
                help="Stop after this long with the best so far: 90s, 25m, 2h.",
            ),
            click.option(
                "--preset", type=click.Choice(["small", "base", "large"]), help="Size of the network."
            ),
            click.option("--batch", type=click.IntRange(1), help="Patches a step."),
            click.option("--patch", type=click.IntRange(16), help="Side of a patch, in pixels."),
            click.option(
                "--prior/--no-prior",
                default=True,
                show_default=True,
                help="Keep the start model beside the trained one, as cathode-tf train does.",
            ),
            click.option("--seed", type=int, default=0, show_default=True),
        ]
    ):
        function = option(function)
    return function


@command.command(epilog="\b\nExample: cathode-tf rounds train my-project --time-limit 10m")
@_project
@click.option(
    "--from",
    "start",
    type=click.Choice(["champion", "default", "scratch"]),
    default="champion",
    show_default=True,
    help="Begin with the weights of this model.",
)
@click.option("--new-only", is_flag=True, help="Learn from the newest images only (unwise; says why).")
@click.option("--force", is_flag=True, help="Begin again where a run with other options was interrupted.")
@_training_options
@_who
def train(project, start, new_only, force, steps, time_limit, batch, patch, who, **options) -> None:
    """Train a challenger on all images annotated so far.

    The same command takes up a training that was interrupted.
    """
    from cathode_tf.rounds import Project, train_round

    options |= {"steps_per_epoch": steps, "batch": batch, "patch_px": patch, "time_limit_s": time_limit}
    options = {name: value for name, value in options.items() if value is not None}
    opened = Project(project)
    model = train_round(opened, start=start, new_only=new_only, who=who, force=force, **options)
    click.echo(
        f"Wrote {project}/{model.path}, from {counted(len(model.images), 'image')}, beginning with {model.start}."
    )
    state = opened.state
    if state.champion is state.models[model.number]:
        unmeasured = (
            "" if state.annotated("test") else " Nothing says how good it is until a test image is annotated."
        )
        click.echo(
            f"It is the first model, and is behind stable now.{unmeasured}\nNext: cathode-tf rounds propose {project}"
        )
    else:
        rival = "" if state.champion else " (compares it with the model that comes with the package)"
        click.echo(f"Next: cathode-tf rounds promote {project}{rival}")


@command.command(epilog="\b\nExample: cathode-tf rounds particles my-project")
@_project
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Let the network itself learn so many steps, a second or so each; 0: only how its pieces are joined.",
)
@_who
def particles(project, steps, who) -> None:
    """Learn from the particles that were corrected on the page Particles.

    Images are held back to check: the corrected test images, or one. What was learned is used from then on, by the page
    and by `segment` with the project's models, unless fewer of their particles are found.
    """
    from cathode_tf.rounds import Project
    from cathode_tf.rounds.particles import learn_particles

    told = learn_particles(Project(project), steps=steps, who=who)
    click.echo(
        f"Learned from {counted(len(told.learned), 'image')}. AP50 on {counted(len(told.held_back), 'image')} held "
        f"back: {told.before:.3f} before, {told.after:.3f} now."
    )
    if told.kept:
        click.echo(f"Wrote {project}/{told.path}: it is used from now on.")
    else:
        click.echo("Not kept: what was in use finds more.")


@command.command(epilog="\b\nExample: cathode-tf rounds promote my-project")
@_project
@click.option("--model", type=int, help="Number of the model; default: the newest.")
@click.option(
    "--force",
    "force_reason",
    metavar="REASON",
    help="Promote in spite of a regression; the ledger keeps why.",
)
@_who
def promote(project, model, force_reason, who) -> None:
    """Compare the newest model with the champion on the frozen test images; promote it if it holds.

    The first model is compared with the one that comes with the package.
    Exits with 1 where the model is refused.
    """
    from cathode_tf.errors import InputError
    from cathode_tf.rounds import Project
    from cathode_tf.rounds import promote as run

    if force_reason is not None and not force_reason.strip():
        raise InputError("--force: must give the reason, which the ledger keeps.")
    opened = Project(project)
    before = opened.state.champion
    verdict = run(opened, model=model, force_reason=force_reason, who=who)
    rival = "champion" if before else "default"
    click.echo(f"{'':<24}{rival:>9}{'challenger':>12}{'difference':>12}   95 % interval    images")
    for row in verdict.differences:
        interval = "-" if row.low is None else f"[{row.low:+.4f}, {row.high:+.4f}]"
        click.echo(
            f"{row.where:<24}{row.champion:>9.4f}{row.challenger:>12.4f}{row.difference:>+12.4f}   "
            f"{interval:<18}{row.images:>5}"
        )
    if not verdict.promote:
        raise InputError(
            f"not promoted: {verdict.reason}. {'The champion' if before else 'The model that comes with the package'} "
            "stays; --force REASON promotes in spite of it."
        )
    champion = opened.state.champion
    assert champion is not None
    click.echo(f"Promoted: {verdict.reason}.\nWrote {project}/models/stable.keras (model {champion.name}).")


@command.command(
    epilog='\b\nExample: cathode-tf rounds rollback my-project --reason "binder got worse on line 2"'
)
@_project
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
@_who
def rollback(project, reason, who) -> None:
    """Put the previous champion back behind stable; before the first one, the model that comes with the package."""
    from cathode_tf.rounds import Project
    from cathode_tf.rounds import rollback as run

    champion = run(Project(project), reason=reason, who=who)
    if champion is None:
        click.echo("The model that comes with the package is in use again.")
    else:
        click.echo(f"Wrote {project}/models/stable.keras (model {champion.name}).")


@command.command(epilog="\b\nExample: cathode-tf rounds log my-project --last 20")
@_project
@click.option("--last", type=click.IntRange(1), help="Only the newest so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as they are.")
def log(project, last, as_json) -> None:
    """Print what happened in PROJECT, who did it and when."""
    import json

    from cathode_tf.rounds import Project
    from cathode_tf.rounds.log import event_line

    opened = Project(project)
    events = opened.ledger.events()
    for event in events[-last:] if last else events:
        click.echo(json.dumps(event, ensure_ascii=False) if as_json else event_line(event, opened.state))


@command.command(
    "export", epilog="\b\nExample: cathode-tf rounds export my-project --format labelme --out for-labelme"
)
@_project
@click.option("--out", required=True, type=click.Path(), help="Folder to make.")
@click.option(
    "--format",
    type=click.Choice(["label-studio", "labelme", "napari", "png"]),
    default="png",
    show_default=True,
)
@click.option("--what", type=click.Choice(["all", "accepted", "proposals"]), default="all", show_default=True)
@click.option("--force", is_flag=True, help="Replace the folder.")
def export_(project, out, format, what, force) -> None:
    """Write images and masks for another editor."""
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.rounds import Project, export_masks

    refuse_inputs(out, [project])
    path = export_masks(Project(project), out, format=format, what=what, force=force)
    click.echo(f"Wrote {path}: images/, masks/, phases.toml.")
    click.echo(f"Bring corrections back: cathode-tf rounds import {project} {path}")


@command.command("import", epilog="\b\nExample: cathode-tf rounds import my-project for-labelme --who ann")
@_project
@click.argument("source", type=click.Path())
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="Time spent on all, for the ledger.")
@_who
def import_(project, source, minutes, who) -> None:
    """Accept masks from SOURCE, a folder or file of another editor, matched by name."""
    from cathode_tf.rounds import Project, import_masks

    images = import_masks(Project(project), source, who=who, minutes=minutes)
    click.echo(f"Accepted {counted(len(images), 'mask')}, new or changed.")
