"""Spread strokes: what was painted by hand is known, and the whole image follows it."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.review import claims
from cathode_tf.review.drafts import Draft
from cathode_tf.review.runs import Stroke, decode_mask, encode_stroke
from cathode_tf.rounds import strokes as spreading

ME = {"session": "session-of-ann"}


def step(kind, start, length, old, new):
    """A stroke of one run."""
    return encode_stroke(Stroke(kind, *(np.array([value]) for value in (start, length, old, new))))


@pytest.fixture
def draft(small_project):
    return Draft(small_project, next(iter(small_project.state.images.values())))


def painted(draft, *steps):
    """Of the first ten pixels, what stands painted after these steps."""
    draft.append(b"".join(steps), draft.size, who="ann")
    whole = draft.painted().ravel()
    assert whole.dtype == np.uint8 and (whole[10:] == 255).all()
    return whole[:10].tolist()


def test_a_confirmation_is_painted_as_a_change_is(draft):
    # The first eight pixels are proposed as 1: three are made 0, the next three are confirmed.
    steps = step("do", 0, 3, 1, 0), step("do", 3, 3, 1, 1)
    assert painted(draft, *steps) == [0, 0, 0, 1, 1, 1, 255, 255, 255, 255]


def test_what_is_undone_is_as_if_never_made(draft):
    first, over = step("do", 0, 4, 1, 0), step("do", 2, 4, 1, 2)
    both = [0, 0, 2, 2, 2, 2, 255, 255, 255, 255]
    assert painted(draft, first, over) == both
    # Below the stroke that is taken back, the one before stands again.
    assert painted(draft, step("undo", 2, 4, 2, 1)) == [0, 0, 0, 0] + 6 * [255]
    assert painted(draft, step("redo", 2, 4, 1, 2)) == both
    # A new stroke forgets what could have been made again.
    assert painted(draft, step("undo", 2, 4, 2, 1), step("do", 9, 1, 0, 3)) == [0, 0, 0, 0] + 5 * [255] + [3]


def test_the_eraser_and_ignore_take_paint_away_and_a_spread_paints_nothing(draft):
    strokes = step("do", 0, 8, 1, 0)
    erased, ignored, spread = step("auto", 0, 2, 0, 1), step("do", 6, 2, 0, 255), step("auto", 8, 2, 0, 3)
    assert painted(draft, strokes, erased, ignored, spread) == [255, 255, 0, 0, 0, 0, 255, 255, 255, 255]
    # The spread is taken back, then the ignore.
    assert painted(draft, step("undo", 8, 2, 3, 0)) == [255, 255, 0, 0, 0, 0, 255, 255, 255, 255]
    assert painted(draft, step("undo", 6, 2, 255, 0)) == [255, 255, 0, 0, 0, 0, 0, 0, 255, 255]


@pytest.mark.parametrize("kind", ["undo", "redo"])
def test_a_draft_that_takes_back_what_was_never_made_is_refused(draft, kind):
    with pytest.raises(InputError, match=f"{kind} without a step"):
        painted(draft, step(kind, 0, 1, 1, 0))


def test_the_server_spreads_what_was_painted_and_renews_the_claim(client, draft, monkeypatch):
    key = draft.image.key
    seen = []

    def spread_strokes(project, image, strokes):
        seen.append((image.key, strokes))
        return np.full((48, 64), 2, np.uint8)

    monkeypatch.setattr(spreading, "spread_strokes", spread_strokes)
    draft.append(step("do", 0, 8, 1, 0) + step("auto", 9, 2, 0, 3), 0, who="ann")
    answer = client.post(f"/api/images/{key}/spread", json=ME)
    assert (decode_mask(answer.content, (48, 64)) == 2).all()
    [(of, strokes)] = seen
    expected = np.full((48, 64), 255, np.uint8)
    expected[0, :8] = 0
    assert of == key and np.array_equal(strokes, expected)
    assert claims.holder(draft.project, key).session == ME["session"]
    # It answers; what becomes of the answer is the page's to say.
    assert draft.size == len(2 * step("do", 0, 1, 0, 0))


def test_why_nothing_can_be_spread_is_said(client, draft):
    key = draft.image.key
    answer = client.post(f"/api/images/{key}/spread", json=ME)
    assert answer.status_code == 400 and "stroke" in answer.json()["error"]
    claims.claim(draft.project, key, "session-of-bob", "Bob", force=True)
    answer = client.post(f"/api/images/{key}/spread", json=ME)
    assert answer.status_code == 409 and "Bob" in answer.json()["error"]
    assert client.post(f"/api/images/{key}/spread", json={}).status_code == 400
