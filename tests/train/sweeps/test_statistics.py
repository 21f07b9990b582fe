"""What several seeds say about a setting."""

import math

import numpy as np
import pytest

from train.sweeps.metrics import metric_of
from train.sweeps.statistics import Score, interquartile_mean, ranked, score_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], 3.0), ([1.0, 3.0], 2.0), ([0.0, 1.0, 2.0, 100.0], 1.5), ([1.0, 2.0, 3.0, 4.0, 100.0], 3.0)],
)
def test_the_interquartile_mean_is_that_of_the_middle_half(values, expected):
    assert interquartile_mean(np.array(values)[::-1]) == pytest.approx(expected)


def test_a_quarter_that_is_no_integer_counts_its_border_in_part():
    # Of 3 values, the lowest and the highest lose three quarters each: (0.25 * 0 + 1 * 1 + 0.25 * 8) / 1.5.
    assert interquartile_mean(np.array([8.0, 0.0, 1.0])) == pytest.approx(2.0)


def test_the_interval_contains_the_score_and_narrows_with_seeds():
    draws = np.random.default_rng(0).normal(size=64)
    few, many = score_of(draws[:4], np.zeros(4, bool)), score_of(draws, np.zeros(64, bool))
    for one in (few, many):
        assert one.low <= one.score <= one.high
    assert many.high - many.low < few.high - few.low


def test_seeds_that_diverged_are_counted_and_not_used():
    found = score_of([1.0, np.nan, 3.0], [False, True, False])
    assert (found.score, found.diverged) == (2.0, 1)
    assert math.isnan(score_of([1.0], [True]).score)


def test_settings_with_a_seed_that_diverged_rank_last_by_how_many():
    scores = [Score(9.0, 0, 0, 1), Score(1.0, 0, 0, 0), Score(math.nan, 0, 0, 2), Score(5.0, 0, 0, 0)]
    assert ranked(scores) == [3, 1, 0, 2]
    assert ranked(scores, lowest=True) == [1, 3, 0, 2]


def test_of_settings_that_were_stopped_who_came_further_ranks_above():
    scores = [Score(9.0, 0, 0, 0), Score(1.0, 0, 0, 0), Score(5.0, 0, 0, 0), Score(99.0, 0, 0, 1)]
    assert ranked(scores, reached=[0, 2, 2, 2]) == [2, 1, 0, 3]


def test_between_equal_scores_the_worse_end_of_the_interval_decides():
    failed, sound = score_of([177, 500, 500, 500, 500], [False] * 5), score_of([500] * 5, [False] * 5)
    assert failed.score == sound.score
    assert ranked([failed, sound]) == [1, 0]
    assert ranked([Score(9.0, 8.0, 20.0, 0), Score(9.0, 3.0, 10.0, 0)], lowest=True) == [1, 0]


def test_metrics_read_the_curve():
    steps, returns = np.array([10, 20, 30]), np.array([[1.0, 5.0], [6.0, 0.0], [4.0, 1.0]])
    assert metric_of("final").of(steps, returns).tolist() == [4.0, 1.0]
    assert metric_of("mean").of(steps, returns).tolist() == [11 / 3, 2.0]
    # The second member reaches 6 never, which counts as twice the run.
    assert metric_of("steps-to:6").of(steps, returns).tolist() == [20.0, 60.0]
    assert metric_of("steps-to:5").of(steps, returns).tolist() == [20.0, 10.0]


@pytest.mark.parametrize("text", ["best", "steps-to", "steps-to:", "steps-to:many"])
def test_another_metric_is_refused(text):
    with pytest.raises(ValueError, match=r"--metric must be final, mean or steps-to:RETURN, .* got "):
        metric_of(text)
