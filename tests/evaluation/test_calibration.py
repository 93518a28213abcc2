import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from sgmn.errors import SgmnError
from sgmn.evaluation.calibration import (
    error_by_chance,
    expected_calibration_error,
    fitted_temperature,
    log_loss,
    reliability,
)

shares = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # edges of bins too
answers = st.lists(st.tuples(shares, st.booleans()), min_size=1, max_size=60)


def sampled(count, seed=0, overconfident=0.0):
    """Answers that are right as often as they say, less what they are too sure by."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.3, 0.9, count)
    return sure, rng.random(count) < sure - overconfident


@given(answers, st.integers(1, 20))
def test_width_is_the_formula_of_guo(pairs, bins):
    sure, right = zip(*pairs, strict=True)
    total = 0.0
    for number in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[number : number + 2]
        own = [i for i, c in enumerate(sure) if low < c <= high or (number == 0 and c == 0)]
        if own:
            gap = np.mean([right[i] for i in own]) - np.mean([sure[i] for i in own])
            total += len(own) / len(sure) * abs(gap)
    assert expected_calibration_error(sure, right, bins, "width") == pytest.approx(total)


@pytest.mark.parametrize("equal", ["mass", "width"])
@pytest.mark.parametrize("too_sure", [0.0, 0.2])
def test_error_is_how_far_confidence_is_off(equal, too_sure):
    sure, right = sampled(40_000, overconfident=too_sure)
    assert expected_calibration_error(sure, right, equal=equal) == pytest.approx(too_sure, abs=0.02)


@pytest.mark.parametrize("equal", ["mass", "width"])
@given(answers, st.randoms(use_true_random=False))
def test_neither_order_nor_ties_matter(equal, pairs, chance):
    tied = [(round(sure, 1), right) for sure, right in pairs]
    errors = []
    for _ in range(3):
        chance.shuffle(tied)
        errors.append(expected_calibration_error(*zip(*tied, strict=True), 7, equal))
    assert errors == pytest.approx([errors[0]] * 3)


def test_bins_of_equal_mass_hold_as_many_and_those_of_width_do_not():
    sure = np.random.default_rng(1).beta(1, 6, 150)
    counts = {
        equal: [b.count for b in reliability(sure, sure > 0.1, 10, equal)]
        for equal in ("mass", "width")
    }
    assert counts["mass"] == [15] * 10
    assert counts["width"][0] > 60 and len(counts["width"]) < 10


@pytest.mark.parametrize("equal", ["mass", "width"])
def test_the_diagram_holds_every_answer_and_gives_the_error(equal):
    sure, right = sampled(97, overconfident=0.1)
    bins = reliability(sure, right, 9, equal)
    assert sum(b.count for b in bins) == 97
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
    assert sum(b.count * b.right for b in bins) == pytest.approx(right.sum())
    error = sum(b.count * abs(b.right - b.confidence) for b in bins) / 97
    assert error == pytest.approx(expected_calibration_error(sure, right, 9, equal))


def test_a_bin_of_hits_alone_is_not_certain():
    [only] = reliability([0.5] * 8, [True] * 8)
    assert (only.count, only.right, only.high) == (8, 1, 1)
    assert only.low == pytest.approx(8 / (8 + 1.96**2), abs=1e-4)  # Wilson's, by hand


@pytest.mark.parametrize("equal", ["mass", "width"])
def test_chance_alone_does_as_much_as_it_says(equal):
    sure, _ = sampled(60)
    mean, high = error_by_chance(sure, equal=equal, seed=5)
    rng = np.random.default_rng(9)
    true = [
        expected_calibration_error(sure, rng.random(60) < sure, equal=equal) for _ in range(400)
    ]
    assert np.mean(true) == pytest.approx(mean, abs=0.01)
    assert np.mean(np.array(true) <= high) == pytest.approx(0.95, abs=0.03)
    assert expected_calibration_error(*sampled(60, overconfident=0.3), equal=equal) > high


def test_answers_that_are_right_as_a_whole_err_more_by_chance():
    """Twelve answers of 0.5 in threes: as four that count thrice."""
    four, _ = error_by_chance([0.5] * 4, bins=1, seed=1)
    whole, _ = error_by_chance([0.5] * 12, bins=1, seed=1, groups=list("aaabbbcccddd"))
    alone, _ = error_by_chance([0.5] * 12, bins=1, seed=1)
    assert whole == pytest.approx(four, abs=0.02) == pytest.approx(0.1875, abs=0.02)
    assert alone < whole - 0.05


def test_with_more_answers_less_is_chance():
    few, many = (error_by_chance(sampled(count, seed=7)[0], samples=100) for count in (50, 20_000))
    assert many[0] < many[1] < 0.02 < 0.1 < few[0]


def shelves(temperature, count=3000, seed=4):
    """Logits whose softmax, at a temperature, is the chance of each to be the truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (count, 8))
    shares = softmax(logits / temperature, axis=1)
    truth = (rng.random((count, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, truth


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_the_truth_is_found(temperature):
    logits, truth = shelves(temperature)
    found = fitted_temperature(logits, truth)
    assert found == pytest.approx(temperature, rel=0.08)
    least = log_loss(logits, truth, found)
    assert least < min(log_loss(logits, truth, found * side) for side in (0.97, 1.03))


def test_it_calibrates():
    logits, truth = shelves(2.5)
    temperature = fitted_temperature(logits, truth)
    errors = []
    for divisor in (1.0, temperature):
        shares = softmax(logits / divisor, axis=1)
        right = shares.argmax(axis=1) == truth
        errors.append(expected_calibration_error(shares.max(axis=1), right))
    assert errors[0] > 0.2 > 0.04 > errors[1]


def test_the_scale_of_logits_goes_into_the_temperature():
    logits, truth = shelves(1.5, count=300)
    once, thrice = (fitted_temperature(scale * logits, truth) for scale in (1, 3))
    assert thrice == pytest.approx(3 * once, rel=1e-3)


def test_places_without_a_product_count_for_nothing():
    logits, truth = shelves(1.5, count=300)
    padded = np.hstack([logits, np.full((300, 3), -np.inf)])
    assert fitted_temperature(padded, truth) == pytest.approx(fitted_temperature(logits, truth))
    assert log_loss(padded, truth, 2.0) == pytest.approx(log_loss(logits, truth, 2.0))


@pytest.mark.parametrize("gap", [1.0, 1000.0])
def test_there_is_no_temperature_for_answers_all_right_or_worse_than_chance(gap):
    logits = np.array([[gap, 0.0, 0.0]] * 4)
    for truth in (0, 1):
        with pytest.raises(SgmnError, match="no minimum"):
            fitted_temperature(logits, np.full(4, truth))


@pytest.mark.parametrize(
    "sure, right, bins",
    [
        ([], [], 5),
        ([0.5], [True, False], 5),
        ([0.5], [True], 0),
        ([1.2], [True], 5),
        ([float("nan")], [True], 5),
        ([[0.5]], [[True]], 5),
    ],
)
def test_what_is_no_confidence_is_refused(sure, right, bins):
    for measured in (expected_calibration_error, reliability):
        with pytest.raises(SgmnError, match="calibration"):
            measured(sure, right, bins)


def test_truths_must_fit():
    for logits, truth in [((0, 3), 0), ((2, 3), 3), ((3,), 3)]:
        with pytest.raises(SgmnError, match="temperature"):
            fitted_temperature(np.zeros(logits), np.zeros(truth, dtype=int))
