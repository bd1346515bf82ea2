"""`cathode-tf rounds ...`: learn in rounds."""

from __future__ import annotations

import click


@click.group("rounds", epilog="Example: cathode-tf rounds init my-project --images photos/")
def command() -> None:
    """Learn in rounds: propose, review, accept, train, promote.

    A project is one folder; every turn is written to its ledger, and any turn can be interrupted
    and taken up again.
    """


_project = click.argument("project", type=click.Path())
_who = click.option("--who", help="Your name for the ledger; default: your user name.")


@command.command(epilog="Example: cathode-tf rounds init my-project --images photos/ --test 20")
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

    made = create_project(
        project,
        Phases.from_toml(phases) if phases else Phases.default(),
        images,
        masks=masks,
        groups=read_groups(groups) if groups else None,
        test_share=test / 100,
        seed=seed,
    )
    images_in = made.state.images.values()
    frozen = sum(image.role == "test" for image in images_in)
    click.echo(f"Wrote {project}: {len(images_in)} images, {frozen} of them frozen for testing.")
    click.echo(f"Next: cathode-tf review {project}")


@command.command(epilog="Example: cathode-tf rounds status my-project")
@_project
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def status(project, as_json) -> None:
    """Show where PROJECT stands and what to do next."""
    import json

    from cathode_tf.rounds import Project
    from cathode_tf.rounds.status import project_status, status_text

    found = project_status(Project(project))
    click.echo(json.dumps(found, indent=2) if as_json else status_text(found))
