"""No batch of masks, however odd, ends in a traceback; an estimator that fails fails for its number alone."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from cathode_tf import Phases
from cathode_tf.analysis import analyze
from cathode_tf.files import write_json
from cathode_tf.reporting import write_report
from cathode_tf.statistics import fits
from cathode_tf.statistics.guard import FAILED

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "odd_masks.py"


@pytest.fixture(scope="module")
def odd_batch():
    spec = importlib.util.spec_from_file_location("odd_masks", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.odd_batch


def check(odd_batch, seed, tmp_path=None):
    given = odd_batch(seed)
    masks, phases = given.pop("masks"), given.pop("phases")
    analysis = analyze(masks, phases, **given)
    # Nothing hides behind the guard either: each estimator copes, or refuses for a reason of its own.
    failures = [
        e.flags[FAILED] for mine in analysis.summary.values() for e in mine.values() if FAILED in e.flags
    ]
    assert not failures
    assert not [image.faults for image in analysis.images if image.faults]
    if tmp_path is not None:
        write_report(analysis, tmp_path / f"{seed}.html", masks=masks)
    return analysis.to_dict()


@pytest.mark.parametrize("seed", range(8))
def test_odd_masks_give_numbers_or_reasons(odd_batch, seed, tmp_path):
    content = check(odd_batch, seed)
    write_json(tmp_path / "summary.json", content)
    assert json.loads((tmp_path / "summary.json").read_text())["summary"]["fraction"]


@pytest.mark.slow
def test_more_odd_masks_give_numbers_or_reasons_and_a_report(odd_batch, tmp_path):
    for seed in range(2000, 2080):
        check(odd_batch, seed, tmp_path if seed % 10 == 0 else None)


def test_sizes_over_decades_are_fitted_where_a_root_was_sought_in_vain():
    # D[4,3] / D[3,2] of these profiles is 794; the largest that was looked for, a Weibull modulus of 0.3, gives 2.9.
    d, w = np.array([1.0, 1e4]), np.array([1 - 1e-9, 1e-9])
    d32 = 3 * np.pi / 8 * (w @ d**2) / (w @ d)
    d43 = 32 / (9 * np.pi) * (w @ d**3) / (w @ d**2)
    scale, m = fits._by_moments(d, w, "weibull")
    assert fits.MODULI[0] < m < 0.3
    # Moment k of a Weibull distribution is scale^k gamma(1 + k / m).
    third = special.gammaln(1 + 3 / m)
    assert scale * np.exp(third - special.gammaln(1 + 2 / m)) == pytest.approx(d32)
    assert scale * np.exp(special.gammaln(1 + 4 / m) - third) == pytest.approx(d43)


def test_an_estimator_that_fails_costs_its_number_alone(monkeypatch):
    def fails(*args, **kwargs):
        raise ValueError("f(a) and f(b) must have different signs")

    monkeypatch.setattr("cathode_tf.analysis.summary.surface_density", fails)
    monkeypatch.setattr("cathode_tf.analysis.image.measure_pores", fails)
    monkeypatch.setattr("cathode_tf.analysis.batch.depth_profile", fails)
    rng = np.random.default_rng(0)
    summary = analyze([rng.integers(0, 2, (40, 40), np.uint8) for _ in range(3)], Phases.default())
    whole = summary.to_dict()["summary"]
    assert whole["surface_density"]["ncm"]["text"] == (
        "not estimable: its estimator failed (ValueError: f(a) and f(b) must have different signs)"
    )
    assert whole["local_thickness"]["pore"]["value"] is None
    assert whole["fraction"]["ncm"]["value"] == pytest.approx(0.5, abs=0.1)
