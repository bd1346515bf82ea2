"""What kinds of files are read right, and how many members of each kind were tried: the table in files.md.

    python benchmarks/files.py

Each member makes its own small file of a situation in which other programs were seen to read wrong, and must be read
right, read right with a warning that names the doubt, or refused with a sentence that names what is wrong; all
else counts as wrong. The members are those of tests/imaging/members*.py, which the test suite runs one by one.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

OUTCOMES = ("right", "warned", "refused", "wrong")


@click.command()
def main() -> None:
    from tests.imaging.test_members import ALL

    found: dict[str, Counter] = {}
    for member in ALL:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = member.make(Path(folder))
            except Exception as error:
                click.echo(f"wrong: {member.kind}: {member.name}: {error!r:.200}", err=True)
                outcome = "wrong"
        found.setdefault(member.kind, Counter())[outcome] += 1
    click.echo("| kind | members | " + " | ".join(OUTCOMES) + " |\n|---|" + "---:|" * 5)
    for kind, counts in [*found.items(), ("all", sum(found.values(), Counter()))]:
        click.echo(
            f"| {kind} | {counts.total()} | " + " | ".join(str(counts[name]) for name in OUTCOMES) + " |"
        )


if __name__ == "__main__":
    main()
