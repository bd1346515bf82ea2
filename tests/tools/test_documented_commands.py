"""Every command in the README and on the pages is one that the command line takes: its verb, options and choices."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cathode_tf.tools.main import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "records").glob("*.md")])


def commands(text: str) -> list[str]:
    """Lines of code blocks that begin with `cathode-tf`, or have it in code marks; continued lines are put together."""
    blocks = re.findall(r"```(?:console|bash|sh|)\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?cathode-tf ", line)]


def parse(words: list[str]) -> None:
    """Raise a `click.UsageError` if the command line would; nothing is run."""
    command, path = cli, ["cathode-tf"]
    context = click.Context(cli, info_name="cathode-tf")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        path.append(name)
        context = click.Context(command, parent=context, info_name=name)
    command.make_context(path[-1], words, parent=context.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_understood(page):
    for line in commands(page.read_text(encoding="utf-8")):
        words = [word for word in shlex.split(line, comments=True) if word != "..."]
        if "|" in words or ">" in words:
            words = words[: min(words.index(mark) for mark in ("|", ">") if mark in words)]
        try:
            parse(words[1:])
        except click.exceptions.Exit as done:
            assert done.exit_code == 0  # --help and --version
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {line}\n{error.format_message()}")


def test_a_wrong_option_is_seen():
    with pytest.raises(click.UsageError, match="--tme-limit"):
        parse(["train", "records", "--out", "run", "--tme-limit", "2m"])
