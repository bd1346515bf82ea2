"""What other programs were seen to read wrong is read right here, or named: each situation makes its own file."""

import pytest

from . import (
    members,
    members_instruments,
    members_objects,
    members_pixels,
    members_scale,
    members_storage,
    members_tasks,
)

ALL = [*members.MEMBERS]


def test_every_file_of_situations_is_there():
    assert members_pixels and members_objects and members_scale
    assert members_storage and members_tasks and members_instruments
    assert len({(m.kind, m.name) for m in ALL}) == len(ALL) > 400


@pytest.mark.parametrize("member", ALL, ids=lambda m: f"{m.kind}: {m.name}")
def test_read_right_or_named(member, tmp_path):
    assert member.make(tmp_path) == member.expected
