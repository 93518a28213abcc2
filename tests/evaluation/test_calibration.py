import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from sgmn.errors import SgmnError
from sgmn.evaluation.calibration import (
    Binning,
    compute_reliability_bins,
    expected_calibration_error,
    expected_error_by_chance,
    fit_temperature,
    log_loss,
)

shares = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # edges of bins too
answers = st.lists(st.tuples(shares, st.booleans()), min_size=1, max_size=60)


def sample_answers(count, seed=0, overconfident=0.0):
    """Confidences, and answers that are correct with that probability less `overconfident`."""
    rng = np.random.default_rng(seed)
    confidences = rng.uniform(0.3, 0.9, count)
    return confidences, rng.random(count) < confidences - overconfident


@given(answers, st.integers(1, 20))
def test_equal_width_follows_the_formula_of_guo(pairs, bins):
    confidences, correct = zip(*pairs, strict=True)
    total = 0.0
    for number in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[number : number + 2]
        own = [i for i, c in enumerate(confidences) if low < c <= high or (number == 0 and c == 0)]
        if own:
            gap = np.mean([correct[i] for i in own]) - np.mean([confidences[i] for i in own])
            total += len(own) / len(confidences) * abs(gap)
    assert expected_calibration_error(confidences, correct, bins, "width") == pytest.approx(total)


@pytest.mark.parametrize("binning", ["mass", "width"])
@pytest.mark.parametrize("overconfident", [0.0, 0.2])
def test_the_error_is_the_difference_between_confidence_and_accuracy(binning, overconfident):
    confidences, correct = sample_answers(40_000, overconfident=overconfident)
    error = expected_calibration_error(confidences, correct, binning=binning)
    assert error == pytest.approx(overconfident, abs=0.02)


@pytest.mark.parametrize("binning", ["mass", "width"])
@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_equal_confidences_does_not_matter(binning, pairs, random):
    tied = [(round(confidence, 1), is_correct) for confidence, is_correct in pairs]
    errors = []
    for _ in range(3):
        random.shuffle(tied)
        confidences, correct = zip(*tied, strict=True)
        errors.append(expected_calibration_error(confidences, correct, 7, binning))
    assert errors == pytest.approx([errors[0]] * 3)


def test_bins_of_equal_mass_have_equal_counts_and_those_of_equal_width_do_not():
    confidences = np.random.default_rng(1).beta(1, 6, 150)
    binnings: tuple[Binning, ...] = ("mass", "width")
    counts = {
        binning: [
            b.count for b in compute_reliability_bins(confidences, confidences > 0.1, 10, binning)
        ]
        for binning in binnings
    }
    assert counts["mass"] == [15] * 10
    assert counts["width"][0] > 60 and len(counts["width"]) < 10


@pytest.mark.parametrize("binning", ["mass", "width"])
def test_the_bins_contain_every_answer_and_yield_the_error(binning):
    confidences, correct = sample_answers(97, overconfident=0.1)
    bins = compute_reliability_bins(confidences, correct, 9, binning)
    assert sum(b.count for b in bins) == 97
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
    assert sum(b.count * b.accuracy for b in bins) == pytest.approx(correct.sum())
    error = sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / 97
    assert error == pytest.approx(expected_calibration_error(confidences, correct, 9, binning))


def test_a_bin_of_correct_answers_only_has_an_interval():
    [only] = compute_reliability_bins([0.5] * 8, [True] * 8)
    assert (only.count, only.accuracy, only.high) == (8, 1, 1)
    assert only.low == pytest.approx(8 / (8 + 1.96**2), abs=1e-4)  # Wilson's, by hand


@pytest.mark.parametrize("binning", ["mass", "width"])
def test_the_error_by_chance_is_that_of_calibrated_confidences(binning):
    confidences, _ = sample_answers(60)
    mean, high = expected_error_by_chance(confidences, binning=binning, seed=5)
    rng = np.random.default_rng(9)
    errors = [
        expected_calibration_error(confidences, rng.random(60) < confidences, binning=binning)
        for _ in range(400)
    ]
    assert np.mean(errors) == pytest.approx(mean, abs=0.01)
    assert np.mean(np.array(errors) <= high) == pytest.approx(0.95, abs=0.03)
    confidences, correct = sample_answers(60, overconfident=0.3)
    assert expected_calibration_error(confidences, correct, binning=binning) > high


def test_grouped_answers_have_a_larger_error_by_chance():
    """Twelve answers of 0.5 in groups of three are like four answers."""
    four, _ = expected_error_by_chance([0.5] * 4, bins=1, seed=1)
    grouped, _ = expected_error_by_chance([0.5] * 12, bins=1, seed=1, groups=list("aaabbbcccddd"))
    independent, _ = expected_error_by_chance([0.5] * 12, bins=1, seed=1)
    assert grouped == pytest.approx(four, abs=0.02) == pytest.approx(0.1875, abs=0.02)
    assert independent < grouped - 0.05


def test_more_answers_have_a_smaller_error_by_chance():
    small, large = (
        expected_error_by_chance(sample_answers(count, seed=7)[0], samples=100)
        for count in (50, 20_000)
    )
    assert large[0] < large[1] < 0.02 < 0.1 < small[0]


def sample_logits(temperature, count=3000, seed=4):
    """Logits whose softmax, at a temperature, is the probability of each to be the truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (count, 8))
    shares = softmax(logits / temperature, axis=1)
    truth = (rng.random((count, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, truth


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_the_truth_is_recovered(temperature):
    logits, truth = sample_logits(temperature)
    fitted = fit_temperature(logits, truth)
    assert fitted == pytest.approx(temperature, rel=0.08)
    minimum = log_loss(logits, truth, fitted)
    assert minimum < min(log_loss(logits, truth, fitted * factor) for factor in (0.97, 1.03))


def test_the_fitted_temperature_calibrates():
    logits, truth = sample_logits(2.5)
    temperature = fit_temperature(logits, truth)
    errors = []
    for divisor in (1.0, temperature):
        shares = softmax(logits / divisor, axis=1)
        correct = shares.argmax(axis=1) == truth
        errors.append(expected_calibration_error(shares.max(axis=1), correct))
    assert errors[0] > 0.2 > 0.04 > errors[1]


def test_the_temperature_is_proportional_to_the_scale_of_the_logits():
    logits, truth = sample_logits(1.5, count=300)
    single, triple = (fit_temperature(scale * logits, truth) for scale in (1, 3))
    assert triple == pytest.approx(3 * single, rel=1e-3)


def test_padding_does_not_count():
    logits, truth = sample_logits(1.5, count=300)
    padded = np.hstack([logits, np.full((300, 3), -np.inf)])
    assert fit_temperature(padded, truth) == pytest.approx(fit_temperature(logits, truth))
    assert log_loss(padded, truth, 2.0) == pytest.approx(log_loss(logits, truth, 2.0))


@pytest.mark.parametrize("gap", [1.0, 1000.0])
def test_there_is_no_temperature_if_all_answers_are_correct_or_worse_than_chance(gap):
    logits = np.array([[gap, 0.0, 0.0]] * 4)
    for truth in (0, 1):
        with pytest.raises(SgmnError, match="no minimum"):
            fit_temperature(logits, np.full(4, truth))


@pytest.mark.parametrize(
    "confidences, correct, bins",
    [
        ([], [], 5),
        ([0.5], [True, False], 5),
        ([0.5], [True], 0),
        ([1.2], [True], 5),
        ([float("nan")], [True], 5),
        ([[0.5]], [[True]], 5),
    ],
)
def test_invalid_confidences_are_rejected(confidences, correct, bins):
    for measure in (expected_calibration_error, compute_reliability_bins):
        with pytest.raises(SgmnError, match="calibration"):
            measure(confidences, correct, bins)


def test_logits_and_truths_must_have_the_same_length():
    for logits, truth in [((0, 3), 0), ((2, 3), 3), ((3,), 3)]:
        with pytest.raises(SgmnError, match="temperature"):
            fit_temperature(np.zeros(logits), np.zeros(truth, dtype=int))
