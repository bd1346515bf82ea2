"""Particles in a browser: one stroke parts, another joins, and both can be undone."""

import pytest

SAYS = "f => { const found = document.querySelector('#count').textContent.match(/^([0-9]+) particle/); "
SAYS += "return found && eval(f)(Number(found[1])) ? Number(found[1]) : false; }"


@pytest.mark.slow
def test_a_stroke_splits_and_another_merges(page):
    page.click("a[href='/particles']")

    def count(is_so="n => n > 0"):
        return page.wait_for_function(SAYS, arg=is_so, timeout=60_000).json_value()

    # The images show four phases side by side, the particle's is the second stripe, from top to bottom.
    before = count()
    box = page.locator("#stage").bounding_box()

    def drag(*places):
        (x, y), *others = ((box["x"] + box["width"] * a, box["y"] + box["height"] * b) for a, b in places)
        page.mouse.move(x, y)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(x, y, steps=6)
        page.mouse.up()

    drag((0.01, 0.37), (0.99, 0.37))
    after = count(f"n => n > {before}")
    page.keyboard.press("u")
    count(f"n => n === {before}")
    page.keyboard.press("y")
    count(f"n => n === {after}")
    page.reload()
    count(f"n => n === {after}")  # kept
    page.keyboard.press("m")
    drag((0.375, 0.05), (0.375, 0.95))
    count(f"n => n < {after}")
