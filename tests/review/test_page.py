"""The page in a real browser, as a person uses it; without Chromium these are skipped."""

import time

import numpy as np
import pytest

from cathode_tf.review.drafts import Draft

# Of the fixture: columns 0-7 are proposed as ncm (1) and are pore (0).


def accepted(project, name="accepted"):
    return [image for image in project.state.images.values() if image.status == name]


def test_paint_undo_save_reload_accept_next(page, server, small_project):
    """The way of one image; the other tests look closer."""
    first = page.evaluate("editor.card.key")
    before = page.mask()
    page.keyboard.press("1")
    page.evaluate("editor.setSize(1)")
    page.drag((5, 3), (5, 20))
    page.saved()
    painted = page.mask()
    # A brush of one pixel along row 5: columns 3 to 20 and nothing else.
    expected = before.copy()
    expected[5, 3:21] = 0
    assert np.array_equal(painted, expected)
    page.keyboard.press("Control+z")
    assert np.array_equal(page.mask(), before)
    page.keyboard.press("Control+y")
    page.saved()
    page.reload()
    page.ready()
    assert np.array_equal(page.mask(), expected)
    assert "Draft restored" in page.inner_text("#saved")
    page.keyboard.press("Control+z")  # the history outlives the reload
    assert np.array_equal(page.mask(), before)
    page.keyboard.press("Control+y")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "key => editor.card.key !== key && !editor.readonly && !editor.deciding", arg=first
    )
    image = small_project.image(first)
    assert image.status == "accepted"
    assert np.array_equal(small_project.mask(image), expected)


@pytest.mark.slow
def test_accept_waits_for_strokes_that_were_made_while_others_travelled(page, server, small_project):
    first = page.evaluate("editor.card.key")
    page.evaluate(
        "() => { const send = window.fetch; window.fetch = (address, ...rest) =>"
        " new Promise((done) => setTimeout(done, String(address).includes('/draft') ? 300 : 0))"
        ".then(() => send(address, ...rest)); }"
    )
    page.keyboard.press("1")
    page.drag((5, 3), (5, 20))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.keyboard.press("Enter")
    page.wait_for_function("key => editor.card.key !== key && !editor.deciding", arg=first)
    assert small_project.image(first).status == "accepted"


@pytest.mark.slow
def test_polygon_fill_pick_and_replace(page):
    page.keyboard.press("p")
    page.keyboard.press("4")  # binder, id 3
    for place in ((10, 20), (10, 30), (20, 30), (20, 20)):
        page.click_at(*place)
    page.keyboard.press("Enter")
    mask = page.mask()
    # Corners at pixel centres 10.5 ... 20.5: centres strictly inside, or on the upper left edge.
    assert (mask[10:20, 20:30] == 3).all() and (mask[9] != 3)[:48].all()
    assert (mask == 3).sum() == 100 + 16 * 48
    page.keyboard.press("f")
    page.keyboard.press("3")
    page.click_at(15, 25)
    assert (page.mask()[10:20, 20:30] == 2).all()
    page.keyboard.press("i")
    page.click_at(30, 60)
    assert page.evaluate("editor.phase") == 3
    # Replace: from pore (8 ... 15) over ncm (16 ... 31); only the phase that the stroke began on changes.
    page.keyboard.press("r")
    page.evaluate("editor.setSize(3)")
    page.drag((40, 10), (40, 24))
    row = page.mask()[40]
    assert (row[9:16] == 3).all() and (row[16:32] == 1).all()


@pytest.mark.slow
def test_eraser_ignore_and_superpixels(page):
    before = page.mask()
    page.keyboard.press("0")
    page.evaluate("editor.setSize(6)")
    page.drag((20, 20), (20, 40))
    assert (page.mask()[20, 18:42] == 255).all()
    page.keyboard.press("e")
    page.evaluate("editor.setSize(20)")
    page.drag((20, 15), (20, 45))
    assert np.array_equal(page.mask(), before)
    page.keyboard.press("s")
    page.keyboard.press("1")
    page.evaluate("editor.setSize(2)")
    page.wait_for_function("() => editor.superpixels.tile(0, 0)")
    page.click_at(24, 56)
    changed = page.mask() != before
    # Stripes are flat and 16 px wide: superpixels follow them.
    assert 30 < changed.sum() < 800 and not changed[:, :40].any()


@pytest.mark.slow
def test_undo_has_no_limit(page):
    before = page.mask()
    page.evaluate(
        """() => { for (let i = 0; i < 400; i++) {
             const labels = editor.labels;
             labels.begin(); labels.capsule(i % 48, i % 64, i % 48, (i * 7) % 64, 5, i % 4); labels.end();
        } }"""
    )
    steps = page.evaluate("editor.labels.done.length")
    assert steps > 300
    for _ in range(3):
        page.keyboard.press("z")
    page.evaluate("() => { while (editor.labels.undo()); }")
    assert np.array_equal(page.mask(), before)


@pytest.mark.slow
def test_work_survives_a_killed_server(page, server, small_project):
    page.keyboard.press("1")
    page.drag((5, 3), (5, 20))
    page.saved()
    server.kill()
    page.drag((30, 3), (30, 20))
    page.wait_for_selector("#saved.away")
    mask = page.mask()
    key = page.evaluate("editor.card.key")
    server.start()
    page.wait_for_selector("#saved.saved", timeout=20_000)
    page.saved()
    draft = Draft(small_project, small_project.image(key))
    assert np.array_equal(draft.mask(), mask)


@pytest.mark.slow
def test_work_survives_a_tab_closed_while_the_server_is_away(page, new_page, server):
    page.keyboard.press("1")
    server.kill()
    page.drag((30, 3), (30, 20))
    page.wait_for_selector("#saved.away")
    mask = page.mask()
    page.close()
    server.start()
    again = new_page().open(server.address)
    # The server could not be told that the tab was closed, so for a while the image counts as taken.
    again.click("#banner button:first-of-type")
    again.wait_for_function("() => editor.outbox?.empty && editor.outbox.kept > 0", timeout=20_000)
    assert np.array_equal(again.mask(), mask)


@pytest.mark.slow
def test_a_second_tab_sees_that_the_image_is_taken(page, new_page, server, small_project):
    key = page.evaluate("editor.card.key")
    other = new_page().open(server.address)
    assert other.evaluate("editor.card.key") != key  # it opens the next free one
    other.click(f"#queue button[data-key='{key}']")
    other.wait_for_selector("#banner:not([hidden])")
    assert "taken" in other.inner_text("#banner")
    assert other.is_disabled("#accept")
    before = other.mask()
    other.drag((5, 3), (5, 20))
    assert np.array_equal(other.mask(), before)
    page.keyboard.press("1")
    page.drag((5, 3), (5, 20))
    page.saved()
    other.click("#banner button:first-of-type")  # take over: with what the first tab painted
    other.wait_for_function("() => editor.labels && !editor.readonly")
    assert np.array_equal(other.mask(), page.mask())
    page.drag((30, 3), (30, 20))
    page.wait_for_selector("#banner:not([hidden])")
    assert small_project.image(key).status == "proposed"


@pytest.mark.slow
def test_the_next_image_is_there_before_it_is_asked_for(page):
    page.wait_for_function(
        "async () => !!(await editor.queue.loads.get(editor.queue.after(editor.card.key).key))?.levels"
    )
    page.keyboard.press("1")
    page.drag((5, 3), (5, 20))  # a test image that nobody touched raises a question
    page.saved()
    asked = []
    page.on("request", lambda request: asked.append(request.url.split("?")[0].rsplit("/", 1)[-1]))
    key = page.evaluate("editor.card.key")
    page.keyboard.press("Enter")
    page.wait_for_function("key => editor.card?.key !== key && editor.labels && !editor.readonly", arg=key)
    assert asked.index("decision") < asked.index("claim")
    assert not {"pixels", "mask"} & set(asked[: asked.index("claim")])


@pytest.mark.slow
def test_view_keys_and_help(page):
    page.keyboard.press("?")
    assert "Undo, without limit" in page.inner_text("#help")
    page.keyboard.press("Escape")
    scale = page.evaluate("editor.view.scale")
    page.keyboard.press("+")
    assert page.evaluate("editor.view.scale") > scale
    page.keyboard.press("Home")
    page.keyboard.press("h")
    page.wait_for_function("() => editor.view.heatLayer && editor.view.heat")
    page.keyboard.press("n")
    assert "Uncertain place 1" in page.inner_text("#hint")
    for key in ("c", "g", "l", "o", "{"):
        page.keyboard.press(key)
    tone = page.evaluate("editor.view.tone")
    assert tone["contrast"] > 1 and tone["gamma"] > 1 and tone["brightness"] > 0
    assert page.evaluate("[editor.view.outlines, Number(editor.view.opacity) < 0.45]") == [True, True]
    page.keyboard.press("Backspace")
    assert page.evaluate("editor.view.tone") == {"contrast": 1, "brightness": 0, "gamma": 1}
    before = page.evaluate("editor.view.x")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("editor.view.x") > before
    page.keyboard.press("End")
    assert page.evaluate("editor.view.scale") == 1
    page.keyboard.press("]")
    assert page.evaluate("editor.size") > 25
    page.keyboard.press("w")
    page.keyboard.press("t")
    assert page.evaluate("[editor.superpixels.grain, editor.replace, editor.hand.tool]") == [18, 0, "replace"]


@pytest.mark.slow
def test_on_a_phone_the_image_has_the_screen_and_the_rest_comes_when_asked_for(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.locator("#stage").bounding_box()["width"] == 390
    assert not page.is_visible("#right") and not page.is_visible("#contrast")
    page.click("#settings-button")
    assert page.is_visible("#contrast")
    page.click("#queue-button")
    page.click("#queue li:nth-child(2) button")
    page.wait_for_function("() => editor.card.name !== 'cell_0' && editor.labels && !editor.readonly")
    assert not page.is_visible("#right")


@pytest.mark.slow
def test_two_fingers_move_and_zoom_and_paint_nothing(page):
    touch = page.context.new_cdp_session(page.page)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def fingers(kind, *places):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = page.mask()
    x, y = page.screen(24, 32)
    scale = page.evaluate("editor.view.scale")
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 10, y))  # the first finger has begun to paint
    fingers("touchStart", (x + 10, y), (x + 110, y))
    for reach in (120, 160, 200):
        fingers("touchMove", (x + 10, y), (x + 10 + reach, y))
    fingers("touchEnd")
    # They were 100 px apart and are 200: twice the scale, but for what the browser takes to know a movement.
    assert 1.7 * scale < page.evaluate("editor.view.scale") <= 2 * scale + 1
    assert np.array_equal(page.mask(), before)
    # One finger paints.
    x, y = page.screen(24, 32)
    fingers("touchStart", (x, y))
    fingers("touchEnd")
    assert not np.array_equal(page.mask(), before)


@pytest.mark.slow
def test_a_trackpad_zooms_by_as_much_as_it_moves(page):
    page.mouse.move(*page.screen(24, 32))
    page.keyboard.press("End")
    for _ in range(10):  # 1.004^(10 x 20) = 2.2
        page.mouse.wheel(0, -20)
    page.wait_for_function("editor.view.scale === 2")


@pytest.mark.slow
def test_skip_reject_and_time(page, small_project):
    page.on("dialog", lambda dialog: dialog.accept())
    first = page.evaluate("editor.card.key")
    page.mouse.move(*page.screen(5, 5))
    time.sleep(1.2)
    page.keyboard.press("k")
    page.wait_for_function(
        "key => editor.card && editor.card.key !== key && !editor.readonly && !editor.deciding", arg=first
    )
    assert 0.01 < small_project.image(first).minutes < 0.5
    second = page.evaluate("editor.card.key")
    page.keyboard.press("x")
    page.wait_for_function(
        "key => editor.card.key !== key && !editor.readonly && !editor.deciding", arg=second
    )
    assert [i.key for i in accepted(small_project, "skipped")] == [first]
    assert [i.key for i in accepted(small_project, "rejected")] == [second]


@pytest.mark.slow
def test_idle_time_does_not_count(page):
    seconds = page.evaluate(
        """async () => {
             const { Clock } = await import("/static/draft.js");
             let now = 0; const clock = new Clock(() => now);
             clock.touch(); now = 10; clock.touch(); now = 500; clock.touch(); now = 505;
             return clock.take(); }"""
    )
    assert seconds == 10 + 30 + 5  # half a minute after the last input still counts


@pytest.mark.slow
def test_what_the_screen_shows_is_the_mask_to_the_pixel(page):
    """At 8 screen pixels a pixel, the label canvas holds squares of pure colour: nothing is smoothed."""
    page.evaluate("() => editor.view.zoomTo(8)")
    page.evaluate("() => editor.view.centre(24, 32)")
    page.wait_for_timeout(200)
    shown = page.evaluate(
        """() => { const v = editor.view, c = v.canvases.labels, out = [];
             const image = c.getImageData(0, 0, c.canvas.width, c.canvas.height);
             const colors = new Set();
             const d = new Uint32Array(image.data.buffer);
             for (const value of d) colors.add(value);
             return [...colors]; }"""
    )
    colors = page.evaluate("() => [...new Set(editor.labels.data)].map((id) => editor.colors[id])")
    assert set(shown) <= {0, *colors}


@pytest.mark.slow
def test_a_large_image_is_painted_and_accepted_to_the_pixel(new_page, serve, tmp_path):
    """4096 x 3072 px: what the brush covered is in the file, and nothing else changed."""
    import cv2

    from cathode_tf import Phases
    from cathode_tf.rounds import create_project

    (tmp_path / "in").mkdir()
    pixels = np.add.outer(np.arange(3072) % 251, np.arange(4096) % 253).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in" / "large.png"), pixels)
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"], test_share=0)
    large = new_page().open(serve(project).address)
    large.keyboard.press("2")
    large.evaluate("editor.setSize(1)")
    large.evaluate("() => { editor.view.zoomTo(4); editor.view.centre(3000, 4000); }")
    large.drag((3000, 3950), (3000, 4050))
    large.saved()
    large.keyboard.press("Enter")
    large.wait_for_selector("#banner:not([hidden])")  # nothing waits
    large.wait_for_function("() => !editor.deciding", timeout=30_000)
    large.close()
    mask = project.mask(next(iter(project.state.images.values())))
    expected = np.full((3072, 4096), 255, np.uint8)
    expected[3000, 3950:4051] = 1
    assert np.array_equal(mask, expected)


@pytest.mark.slow
def test_progress_shows_whether_it_got_better(page, server):
    page.goto(server.address.split("?")[0] + "status")
    page.wait_for_selector(".next")
    # Nothing is annotated yet: what comes next is told, and no advice given.
    assert "Next:" in page.inner_text("#content") and not page.query_selector(".advice")


@pytest.mark.slow
def test_a_duplicated_tab_is_a_session_of_its_own(page, new_page, server):
    mine = page.evaluate("() => sessionStorage.getItem('session')")
    copy = new_page()
    copy.add_init_script(f"sessionStorage.setItem('session', sessionStorage.getItem('session') || '{mine}')")
    copy.open(server.address)
    assert copy.evaluate("() => sessionStorage.getItem('session')") != mine
    assert copy.evaluate("() => editor.card.key") != page.evaluate("() => editor.card.key")


@pytest.mark.slow
def test_an_empty_mask_is_not_accepted(page, small_project):
    key = page.evaluate("editor.card.key")
    page.evaluate(
        "() => { const l = editor.labels; l.begin(); for (let r = 0; r < 48; r++) l.span(r, 0, 64, 255); l.end(); }"
    )
    page.keyboard.press("Enter")
    assert "Nothing is labelled" in page.inner_text("#hint")
    assert page.evaluate("editor.card.key") == key and small_project.image(key).status == "proposed"


@pytest.mark.slow
def test_grey_levels_are_set_and_reset(page):
    page.wait_for_function("() => editor.window.facts")
    as_shown = page.inner_text("#window-out")
    with page.expect_response(lambda response: "/pixels?black=" in response.url) as coming:
        page.evaluate(
            "() => { const black = document.getElementById('window-black'); black.value = 500;"
            " black.dispatchEvent(new Event('input')); }"
        )
    assert coming.value.ok and page.inner_text("#window-out") != as_shown
    with page.expect_response(lambda response: "/pixels?black=" in response.url):
        page.click("#reset-tone")
    assert page.inner_text("#window-out") == as_shown
