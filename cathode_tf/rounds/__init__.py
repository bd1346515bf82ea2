"""Incremental learning: a project folder, its ledger, and the turns propose, review, train, promote."""

from __future__ import annotations

from cathode_tf.rounds.annotations import record_review
from cathode_tf.rounds.ledger import Ledger
from cathode_tf.rounds.project import Project, add_images, create_project, read_groups
from cathode_tf.rounds.state import ImageState, ModelState, State

__all__ = [
    "ImageState",
    "Ledger",
    "ModelState",
    "Project",
    "State",
    "add_images",
    "create_project",
    "read_groups",
    "record_review",
]
