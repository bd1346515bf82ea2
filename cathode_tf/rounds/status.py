"""Where a project stands: counts, models, minutes, and what to do next."""

from __future__ import annotations

from typing import Any

from cathode_tf.rounds.project import Project


def project_status(project: Project) -> dict[str, Any]:
    """JSON-able status of a project, as the page and `rounds status` show it."""
    state = project.state
    counts: dict[str, int] = {}
    for image in state.images.values():
        counts[image.status] = counts.get(image.status, 0) + 1
    champion = state.champion
    return {
        "name": state.name,
        "round": state.round,
        "images": len(state.images),
        "counts": counts,
        "test_images": sum(image.role == "test" for image in state.images.values()),
        "test_annotated": len(state.annotated("test")),
        "pool_annotated": len(state.annotated("pool")),
        "minutes": round(state.minutes, 2),
        "champion": champion.name if champion else None,
    }


def status_text(status: dict[str, Any]) -> str:
    """The status in a few lines."""
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    return "\n".join(
        [
            f"{status['name']}: round {status['round']}, {status['images']} images ({counts})",
            f"Annotated: {status['pool_annotated']} to learn from, "
            f"{status['test_annotated']} of {status['test_images']} test images; "
            f"{status['minutes']:.1f} min of work",
            f"Model behind stable: {status['champion'] or 'none yet'}",
        ]
    )
