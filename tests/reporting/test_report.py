"""The report: every number of the analysis stands in it, nothing in it needs a network, names are escaped."""

import base64
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import analyze
from cathode_tf.imaging.stories import Story
from cathode_tf.reporting import evaluation_section, write_report
from cathode_tf.reporting.figures import PICTURE_PX, histogram, instance_picture, picture_data
from cathode_tf.reporting.tables import estimates_table, intervals_caption, split_text
from cathode_tf.statistics import Estimate


@pytest.fixture(scope="module")
def batch():
    """Three masks of ncm disks on pore, one with a name that could break a page."""
    rng = np.random.default_rng(0)
    masks = {}
    for name in ("a", "b", "<script>c"):
        mask = np.zeros((300, 400), np.uint8)
        for row in range(30, 280, 60):
            for column in range(30, 380, 60):
                cv2.circle(mask, (column, row), int(rng.integers(12, 26)), 1, -1)
        masks[name] = mask
    return masks


ANALYSES = {}


def write(batch, path, **options):
    """The analysis of the masks, made once for each choice of options, and its page."""
    key = repr([(name, mask.shape) for name, mask in batch.items()]) + repr(options)
    if key not in ANALYSES:
        ANALYSES[key] = analyze(batch, Phases.from_names(("pore", "ncm")), **options)
    analysis = ANALYSES[key]
    write_report(analysis, path, masks=batch)
    return analysis, path.read_text(encoding="utf-8")


def test_the_page_stands_alone_and_says_every_fraction(batch, tmp_path):
    analysis, text = write(batch, tmp_path / "report.html", pixel_size_nm=100)
    for estimate in analysis.summary["fraction"].values():
        assert split_text(estimate)[0] in text
    # The only addresses in it are names of XML vocabularies, which no browser fetches.
    fetched = re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)([^"']+)""", text)
    assert fetched == []
    assert "µm" in text


def test_without_a_pixel_size_it_says_so_and_prints_no_physical_unit(batch, tmp_path):
    _, text = write(batch, tmp_path / "report.html")
    assert "pixel size is unknown" in text
    assert "µm" not in text


def test_names_are_escaped(batch, tmp_path):
    _, text = write(batch, tmp_path / "report.html")
    assert "<script>c" not in text
    assert "&lt;script&gt;c" in text


def test_a_report_is_not_overwritten(batch, tmp_path):
    write(batch, tmp_path / "report.html")
    with pytest.raises(InputError, match="exists already"):
        write(batch, tmp_path / "report.html")


@pytest.mark.slow
def test_one_image_comes_with_a_warning(batch, tmp_path):
    _, text = write({"a": batch["a"]}, tmp_path / "report.html")
    assert "One image cannot show" in text
    assert "Every number" not in text and "interval where one can be told" in text
    assert "1 image says little" in text


def test_bars_have_intervals_only_where_estimates_have():
    sure, unsure = Estimate(1.0, ci=(0.9, 1.1), n=3), Estimate(1.0, n=1, flags={"NO_INTERVAL": "one"})
    assert intervals_caption({"a": sure}) == "Bars: 95 % intervals."
    assert intervals_caption({"a": sure, "b": unsure}).endswith("where there is one.")
    assert intervals_caption({"b": unsure}) == "No interval can be told."


def test_a_model_that_made_the_masks_is_named_with_its_dice(batch, tmp_path):
    analysis = analyze({"a": batch["a"]}, Phases.from_names(("pore", "ncm")))
    dice = {"split": "validation", "mean": 0.59, "pore": 0.757, "ncm": None}
    model = {"path": "default", "title": "default", "sha256": "ab" * 32, "fingerprint": "cd" * 32}
    story = Story("model", model={**model, "pixel_size_nm": 25.0, "dice": dice})
    unchecked = replace(analysis, stories={"a": story})
    text = write_report(unchecked, tmp_path / "r.html").read_text(encoding="utf-8")
    main = text[text.index("<main>") :]
    assert main.index("UNCHECKED masks: made by model default, which no test") < main.index("<h1>")
    assert "Do not decide anything by these numbers yet" in main
    test = {"records": "lab test", "images": ["x", "y"], "n": 2, "dice": {"pore": [0.7, 0.6, 0.8]}}
    tested = replace(story, kind={"score": 0.4, "foreign": False, "reason": "", "test": test})
    analysis = replace(analysis, stories={"a": tested})
    assert analysis.worth.sentence == (
        "Masks of model default, tested on 2 images of the same kind (lab test): Dice pore 0.70 [0.60, 0.80]."
    )
    assert analysis.worth.checked and not unchecked.worth.checked
    foreign = replace(tested, kind={**tested.kind, "foreign": True, "reason": "3 times as far"})
    assert "does not know this kind of image" in replace(analysis, stories={"a": foreign}).worth.sentence


def test_a_refused_estimate_says_why_in_place_of_a_number():
    refused = Estimate.refused("two particles are too few", unit="um")
    assert split_text(refused) == ("not estimable: two particles are too few", "")


def test_a_note_that_all_rows_share_is_said_once_in_the_caption():
    one = Estimate(1.0, ci=(0.9, 1.1), n=3, flags={"X": "shared"})
    table = estimates_table({"a": one, "b": one}, "phase", "Caption")
    assert table.caption == "Caption. Intervals: 95 %, 3 images. Shared."
    assert (table.header, table.rows[0]) == (["phase", "estimate"], ["a", "1.00 ± 0.10"])
    other = replace(one, n=4)
    table = estimates_table({"a": one, "b": other}, "phase", "Caption")
    assert [row[2] for row in table.rows] == ["95 %, 3 images", "95 %, 4 images"]


def test_why_there_are_no_sizes_is_said_once(batch, tmp_path):
    few = batch["a"][:100, :150]  # at most six disks, some cut
    _, text = write({"a": few}, tmp_path / "report.html", pixel_size_nm=100)
    # On the first screen, and with the sizes.
    assert len(re.findall("whole particles are too few", text)) == 2
    assert re.search('<td[^>]*class="number"[^>]*>not estimable</td>', text)
    assert "Fitted distributions" not in text and "little about the spread" not in text


@pytest.mark.parametrize(
    "low, high, labels",
    [
        (1.2, 9.0, ["2", "5"]),
        (0.4, 30.0, ["0.5", "1", "2", "5", "10", "20"]),
        (6.1, 7.9, ["6.5", "7", "7.5"]),
    ],
)
def test_axes_of_sizes_are_labelled_in_plain_numbers(low, high, labels):
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", histogram(np.array([low, high]), "d", "#888888"))
    assert set(labels) <= set(texts)
    assert not [text for text in texts if "×" in text]


def test_pictures_are_reduced_and_decode_to_what_was_given():
    picture = np.zeros((20, 2 * PICTURE_PX, 3), np.uint8)
    picture[..., 0] = 200
    data = picture_data(picture)
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (10, PICTURE_PX, 3)
    # Red in, red out (OpenCV decodes to blue, green, red); WebP may be off by a few levels.
    np.testing.assert_allclose(decoded.mean((0, 1)), [0, 0, 200], atol=6)


def test_small_pictures_are_enlarged_by_whole_pixels_and_their_bar_with_them():
    # 200 px become 600, each of 10 nm: 30 % of that are 1.8 um, the bar is 1 um, 100 px.
    data = picture_data(np.zeros((200, 200, 3), np.uint8), {"ncm": "#ffffff"}, 30.0)
    decoded = cv2.imdecode(
        np.frombuffer(base64.b64decode(data.split(",")[1]), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    assert decoded.shape[1] == 600 and decoded[:595].max() < 20
    bar = (decoded[605:, 300:] < 100).sum(1).max()
    assert bar == pytest.approx(100, abs=25)  # letters of "1 µm" beside it


def test_instances_that_touch_have_a_dark_line_between_them():
    labels = np.array([[1, 1, 2, 2]] * 4, np.int32)
    picture = instance_picture(labels)
    assert picture[:, 1].max() < 40
    assert (picture[:, 0] != picture[:, 3]).any()


def test_a_phase_that_is_absent_has_no_dice_and_is_left_out_of_the_mean():
    evaluation = {
        "images": [
            {"id": "a", "dice": {"pore": 0.5, "ncm": None}, "mean_dice": 0.5},
            {"id": "b", "dice": {"pore": 0.7, "ncm": 0.9}, "mean_dice": 0.8},
        ],
        "mean_dice": 0.65,
    }
    (table,) = evaluation_section(evaluation).tables
    assert table.rows[0][2] == "absent"
    # pore: (0.5 + 0.7) / 2; ncm: 0.9 from the one image that has it.
    assert list(table.rows[-1]) == ["mean over images", "0.600", "0.900", "0.650"]


@pytest.mark.slow
def test_groups_have_a_row_each_and_planning_says_how_much_more(batch, tmp_path):
    groups = {"a": "left", "b": "left", "<script>c": "right"}
    analysis, text = write(batch, tmp_path / "report.html", groups=groups)
    left = analysis.by_group["left"]["fraction"]["ncm"]
    assert (
        split_text(analysis.by_group["left"]["fraction"]["pore"])[0] in text[text.index(">left</td>") :][:200]
    )
    assert split_text(left)[0] in text
    for row in analysis.planning:
        assert row["sentence"].replace("+-", "±") in text


def test_every_quantity_of_the_summary_is_in_the_report(batch, tmp_path):
    analysis, text = write(batch, tmp_path / "report.html", pixel_size_nm=100)
    for quantity, estimates in analysis.summary.items():
        for name, estimate in estimates.items():
            shown = estimate.flags["REFUSED"] if estimate.is_refused else split_text(estimate)[0]
            assert shown.replace("'", "&#39;") in text, (quantity, name)
