"""What MkDocs is told beyond mkdocs.yml: pages that lie outside of docs/, and the reference made from the docstrings.

Every link is written as the repository needs it; here it is turned to the place of the page on the site. A link to a
script or a folder, which is no page, becomes its text.
"""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "records/README.md": "records/README.md",
    **{f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.md")},
}
ROOMS = (
    "imaging", "synthesis", "tomography", "datasets", "learning", "inference", "statistics", "particles", "volumes",
    "analysis", "reporting", "lots", "rounds",
)  # fmt: skip
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files, config):
    for source, target in PAGES.items():
        if (ROOT / source).exists():
            content = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, target, content=content))
    files.append(File.generated(config, "reference.md", content=reference()))
    return files


def on_page_markdown(markdown, page, **_):
    target = page.file.src_uri
    source = next((key for key, value in PAGES.items() if value == target), f"docs/{target}")
    return LINK.sub(lambda found: _moved(found, source, target), markdown)


def _moved(found: re.Match, source: str, target: str) -> str:
    picture, text, link = found.groups()
    path, _, anchor = link.partition("#")
    if not path or ":" in path:
        return found[0]
    place = os.path.normpath(os.path.join(os.path.dirname(source), path)).replace(os.sep, "/")
    if not (ROOT / place).exists():
        return found[0]  # MkDocs says so
    to = PAGES.get(place) or (place.removeprefix("docs/") if place.startswith("docs/") else None)
    if to is None:
        return text
    moved = os.path.relpath(to, os.path.dirname(target) or ".").replace(os.sep, "/")
    return f"{picture}[{text}]({moved}{'#' + anchor if anchor else ''})"


def reference() -> str:
    """A heading for each room, and under it each of its public names, by where it is defined."""
    lines = [
        "# Reference",
        "",
        "Made from the docstrings. What most people need stands in the package itself.",
    ]
    seen: set[str] = set()
    for name in ("", *ROOMS):
        module = f"cathode_tf.{name}".rstrip(".")
        if not (ROOT / module.replace(".", "/")).is_dir():
            continue
        room = importlib.import_module(module)
        first = (room.__doc__ or "").strip().splitlines()[0]
        lines += ["", f"# `{module}`", "", first, ""]
        for public in getattr(room, "__all__", ()):
            thing = getattr(room, public)
            place = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
            if place.startswith("cathode_tf") and place not in seen:
                seen.add(place)
                lines += [f"::: {place}", ""]
    return "\n".join(lines)
