"""Spread strokes in a real browser: paint, press A, and the whole image follows."""

import numpy as np
import pytest

from cathode_tf.review.drafts import Draft

pytestmark = pytest.mark.usefixtures("probabilities")

# Of the fixture: stripes of 16 columns, ids 0 to 3 from dark to bright; columns 0-7 are proposed as 1 and are 0.


@pytest.fixture
def page(page, small_project):
    """An image that is learned from: a test image asks first."""
    page.evaluate(
        "key => editor.open(key)", next(i.key for i in small_project.state.queue() if i.role == "pool")
    )
    return page


def paint(page):
    """A stroke of each phase, 3 px wide: the first changes what was proposed, the others confirm it."""
    page.evaluate("editor.setSize(3)")
    for index, column in enumerate((3, 24, 40, 56)):
        page.keyboard.press(str(index + 1))
        page.drag((8, column), (40, column))


def spread(page):
    page.keyboard.press("a")
    page.wait_for_function("() => !editor.spreading && /changed|change:|meanwhile/.test(hint.textContent)")
    return page.inner_text("#hint")


def answer_late(page, ms):
    """Let the answer to a spread come so much later; the server has seen what was painted when it was asked."""
    page.evaluate(
        "(ms) => { const send = window.fetch; window.fetch = async (address, ...rest) => {"
        " const answer = await send(address, ...rest);"
        " if (!String(address).includes('/spread')) return answer;"
        " window.answered = true; await new Promise((done) => setTimeout(done, ms));"
        " return answer; }; }",
        ms,
    )


@pytest.mark.slow
def test_the_whole_image_follows_a_few_strokes(page, small_project):
    before = page.mask()
    assert page.is_disabled("#spread")
    paint(page)
    painted = page.mask()
    hint = spread(page)
    assert np.array_equal(page.mask(), small_project.truth)
    # 8 columns of 48 pixels were wrong; the stroke (column 3, rows 8 to 40, 3 px wide, round ends) put some right.
    changed = 100 * (8 * 48 - (painted != before).sum()) / (48 * 64)
    assert f"your 4 strokes: {changed:.1f} % of the pixels changed" in hint
    page.keyboard.press("Control+z")
    assert np.array_equal(page.mask(), painted)


@pytest.mark.slow
def test_a_test_image_is_not_repainted_unasked(page, small_project):
    test = next(image for image in small_project.state.images.values() if image.role == "test")
    page.evaluate("key => editor.open(key)", test.key)
    paint(page)
    painted = page.mask()
    page.keyboard.press("a")
    page.wait_for_selector("#sure[open]")
    # 8 of 64 columns would be repainted, the strokes there excepted: 3 of them, some 34 of 48 pixels long.
    assert "would repaint 9 %" in page.inner_text("#sure") or "would repaint 10 %" in page.inner_text("#sure")
    page.click("text=Paint by hand instead")
    page.wait_for_function("() => !editor.spreading && hint.textContent.startsWith('Nothing was repainted')")
    assert np.array_equal(page.mask(), painted)
    page.keyboard.press("a")
    page.click("text=Repaint, I will look")
    page.wait_for_function("() => !editor.spreading && /pixels changed/.test(hint.textContent)")
    assert np.array_equal(page.mask(), small_project.truth)
    page.evaluate(
        "() => (editor.spreadAt = performance.now())"
    )  # however slow the computer is, it is just now
    page.keyboard.press("Enter")
    page.wait_for_selector("#sure[open] >> text=just repainted by spreading")
    page.click("text=Look closer")
    assert small_project.image(test.key).status == "proposed"


@pytest.mark.slow
def test_the_server_knows_every_pixel_that_was_painted_and_no_other(page, small_project):
    paint(page)
    spread(page)
    page.saved()
    image = small_project.image(page.evaluate("editor.card.key"))
    draft = Draft(small_project, image)
    # Strokes 3 px wide from row 8 to 40: rows 7 to 41 of the middle column, 8 to 40 beside it or one more.
    for index, column in enumerate((3, 24, 40, 56)):
        assert (draft.painted()[8:41, column - 1 : column + 2] == index).all()
    assert 4 * 3 * 33 <= (draft.painted() != 255).sum() <= 4 * 3 * 35
    page.keyboard.press("e")
    page.drag((8, 24), (40, 24))
    page.keyboard.press("0")
    page.keyboard.press("b")
    page.drag((8, 40), (40, 40))
    for _ in range(2):
        page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.saved()
    shown = page.evaluate("() => Array.from(editor.labels.painted)")
    painted = draft.painted()
    assert np.array_equal(np.array(shown).reshape(48, 64) > 0, painted != 255)
    assert (painted[:, 16:32] == 255).all() and (painted[8:41, 39:42] == 2).all()  # erased; the ignore undone
    assert np.array_equal(draft.mask(), page.mask())


@pytest.mark.slow
def test_what_is_painted_while_strokes_spread_is_kept(page, small_project):
    paint(page)
    answer_late(page, 1500)
    page.keyboard.press("a")
    assert "Spreading" in page.inner_text("#hint")
    assert page.is_disabled("#accept")
    page.wait_for_function("window.answered")
    page.keyboard.press("0")
    page.drag((20, 50), (30, 50))  # doubtful
    page.keyboard.press("2")
    page.drag((20, 2), (30, 2))
    meanwhile = page.mask()
    page.wait_for_function("() => !editor.spreading")
    expected = small_project.truth.copy()
    expected[19:32, 49:52] = meanwhile[19:32, 49:52]
    expected[19:32, 1:4] = meanwhile[19:32, 1:4]
    assert (expected[20:31, 50] == 255).all() and (expected[20:31, 2] == 1).all()
    assert np.array_equal(page.mask(), expected)
    # An answer to strokes that do not stand any more is not taken over.
    page.keyboard.press("a")
    page.keyboard.press("Control+z")
    undone = page.mask()
    page.wait_for_function("() => !editor.spreading")
    assert "undone meanwhile" in page.inner_text("#hint")
    assert np.array_equal(page.mask(), undone)


@pytest.mark.slow
def test_strokes_spread_anew_from_the_model_and_are_accepted(page, small_project):
    first = page.evaluate("editor.card.key")
    page.evaluate("editor.setSize(3)")
    page.keyboard.press("4")
    page.drag((8, 3), (40, 3))  # wrong: pore as binder
    assert "Strokes of the other phases teach it more" in spread(page)
    page.keyboard.press("1")
    page.drag((8, 3), (40, 3))
    for column in (10, 14):
        page.drag((8, column), (40, column))
    spread(page)
    again = page.mask()
    for _ in range(6):  # four strokes, two spreads
        page.keyboard.press("Control+z")
    page.saved()
    assert not (Draft(small_project, small_project.image(first)).painted() != 255).any()
    page.keyboard.press("1")
    for column in (3, 10, 14):
        page.drag((8, column), (40, column))
    spread(page)
    # The same strokes give the same mask, whatever was spread before them.
    assert np.array_equal(page.mask(), again)
    page.saved()
    page.reload()
    page.ready()
    assert np.array_equal(page.mask(), again)
    page.keyboard.press("Control+z")  # a spread is one step of the history, which outlives the reload
    assert not np.array_equal(page.mask(), again)
    page.keyboard.press("Control+y")
    page.keyboard.press("Enter")
    page.wait_for_function("key => editor.card?.key !== key && !editor.deciding", arg=first)
    assert np.array_equal(small_project.mask(small_project.image(first)), again)


@pytest.mark.slow
def test_an_answer_for_an_image_that_was_left_is_dropped(page):
    paint(page)
    answer_late(page, 1000)
    first = page.evaluate("editor.card.key")
    page.keyboard.press("a")
    page.keyboard.press(".")
    page.wait_for_function("key => editor.card.key !== key && !editor.readonly", arg=first)
    before = page.mask()
    page.wait_for_timeout(1500)
    assert np.array_equal(page.mask(), before) and page.is_disabled("#spread")
    page.keyboard.press("a")
    assert "Paint a few strokes" in page.inner_text("#hint")


@pytest.mark.slow
def test_why_strokes_cannot_spread_is_said(page, server, small_project):
    paint(page)
    page.saved()
    server.kill()
    page.keyboard.press("a")
    page.wait_for_function("() => /server is away/.test(hint.textContent)")
    server.start()
    page.wait_for_selector("#saved.saved", timeout=20_000)
    rows = [{**i.proposal, "key": i.key} for i in small_project.state.images.values()]
    for row in rows:
        del row["probabilities"]
    small_project.ledger.append("propose", round=3, model=1, proposals=rows)
    page.keyboard.press("a")
    page.wait_for_function("() => /Propose again/.test(hint.textContent)")
