import os
import sys

import numpy as np
import pytest
from PIL import Image

from train.reports.curve import save_curve, steps_label, value_range

TRAIN, EVALUATION = (143, 179, 220), (201, 48, 44)


def rows(count=100, worst=0.0):
    out = []
    for index in range(count):
        row = {"steps": 10_000 * (index + 1), "return_mean": -120.0 - worst * (index < 10) - (index % 3)}
        if index % 10 == 9:
            row |= {"eval_mean": -118.0 - 0.1 * (index % 4), "eval_se": 0.2}
        out.append(row)
    return out


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def count(picture, colour):
    return (np.abs(picture - colour).max(axis=-1) <= 25).sum()


def series(*points):
    return np.array(points, np.float64).reshape(-1, 3)


def test_curve_is_a_png_with_both_lines(tmp_path):
    save_curve(rows(), tmp_path / "a.png", title="PPO on HeartPole-v0")
    picture = pixels(tmp_path / "a.png")
    assert picture.shape == (750, 1200, 3)
    assert count(picture, TRAIN) > 1000 and count(picture, EVALUATION) > 1000
    assert os.listdir(tmp_path) == ["a.png"]


def test_curve_without_evaluations_has_one_line(tmp_path):
    only = [{"steps": row["steps"], "return_mean": row["return_mean"]} for row in rows()]
    save_curve(only, tmp_path / "a.png", title="t")
    picture = pixels(tmp_path / "a.png")
    assert count(picture, TRAIN) > 1000 and count(picture, EVALUATION) == 0


def test_band_is_two_standard_errors_wide(tmp_path):
    points = [{"steps": step, "eval_mean": 0.0, "eval_se": 1.0} for step in range(10)]
    save_curve(points, tmp_path / "a.png", title="t")
    (low, high), _ = value_range(series(), series(*((step, 0, 1) for step in range(10))))
    column = pixels(tmp_path / "a.png")[:, 600]
    band = np.nonzero((column[:, 0] > 235) & (column[:, 1] < 235) & (column[:, 1] > 180))[0]
    frame = np.nonzero((column < 250).any(axis=-1))[0]
    assert frame.size and low == -2.2 and high == 2.2
    assert 500 < np.ptp(band) < 640


def test_curve_is_the_same_twice_and_leaves_no_global_state(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    for name in ("a.png", "b.png"):
        save_curve(rows(), tmp_path / name, title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "matplotlib.pyplot" not in sys.modules


def test_late_detail_stays_visible_under_a_terrible_start(tmp_path):
    save_curve(rows(worst=1e6), tmp_path / "a.png", title="t")
    lines = pixels(tmp_path / "a.png")[440:, 600:1190]
    heights = np.nonzero((np.abs(lines - TRAIN).max(axis=-1) <= 25).any(axis=1))[0]
    assert np.ptp(heights) > 60


def test_the_entire_course_is_shown_above_the_magnified_end(tmp_path):
    save_curve(rows(worst=1e6), tmp_path / "a.png", title="t")
    first = pixels(tmp_path / "a.png")[40:400, 100:300]
    heights = np.nonzero((np.abs(first - TRAIN).max(axis=-1) <= 25).any(axis=1))[0]
    assert np.ptp(heights) > 150


def test_levels_are_drawn_across_the_picture_and_are_in_its_range(tmp_path):
    save_curve(rows(), tmp_path / "a.png", title="t")
    save_curve(rows(), tmp_path / "b.png", title="t", levels={"random policy": -500.0, "optimum": -100.0})
    grey = [(count(pixels(tmp_path / name), (107, 114, 128))) for name in ("a.png", "b.png")]
    assert grey[1] > grey[0] + 1000


def test_range_holds_everything_where_nothing_is_far_off():
    (low, high), everything = value_range(series((0, -10, 0), (1, 0, 0), (2, 5, 0)), series((2, 6, 1)))
    assert everything == (-10, 8) and low < -10 and high > 8 and high - low < 22


def test_range_is_cut_around_the_second_half():
    train = series(*((step, -1e5 if step < 20 else -123 - step % 2, 0) for step in range(100)))
    (low, high), (least, greatest) = value_range(train, series())
    assert least == -1e5 and greatest == -123
    assert -125 < low < -124 and -123 < high < -122


def test_one_late_outlier_does_not_widen_the_range():
    train = series(*((step, -1e5 if step == 70 else -123 - step % 2, 0) for step in range(100)))
    (low, _), _ = value_range(train, series())
    assert low > -125


def test_every_late_evaluation_and_its_band_is_in_range():
    train = series(*((step, -1e5 if step < 20 else -123, 0) for step in range(100)))
    (low, high), _ = value_range(train, series((60, -130, 1), (90, -122, 2)))
    assert low < -132 and high > -118


def test_constant_returns_have_a_range():
    (low, high), _ = value_range(series((0, 5, 0), (1, 5, 0)), series())
    assert low < 5 < high


@pytest.mark.parametrize("value", (None, float("nan"), float("-inf")))
def test_missing_values_are_left_out(tmp_path, value):
    expected = rows()[5:]
    gaps = [{"steps": row["steps"], "return_mean": value, "eval_mean": value} for row in rows()[:5]]
    save_curve(expected, tmp_path / "a.png", title="t")
    save_curve(gaps + expected, tmp_path / "b.png", title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_title_and_axis_name_are_drawn(tmp_path):
    for name, title, y in (("a", "one", "return"), ("b", "two", "return"), ("c", "one", "score")):
        save_curve(rows(), tmp_path / f"{name}.png", title=title, y=y)
    first, second, third = (pixels(tmp_path / f"{name}.png") for name in "abc")
    assert (first[:50] != second[:50]).any() and (first[60:] == second[60:]).all()
    assert (first[:, :40] != third[:, :40]).any()


@pytest.mark.parametrize("empty", ([], [{"steps": 1}], [{"steps": 1, "return_mean": float("nan")}]))
def test_a_curve_of_nothing_is_refused(tmp_path, empty):
    with pytest.raises(ValueError, match=f"found none in {len(empty)} rows"):
        save_curve(empty, tmp_path / "a.png", title="t")
    assert os.listdir(tmp_path) == []


def test_a_curve_that_cannot_take_its_place_is_removed(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError):
        save_curve(rows(), tmp_path / "a.png", title="t")
    assert os.listdir(tmp_path) == ["a.png"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        save_curve(rows(), tmp_path / "nowhere" / "a.png", title="t")


@pytest.mark.parametrize(
    "steps, label", [(0, "0"), (500, "500"), (2500, "2.5k"), (1e6, "1M"), (12_500_000, "12.5M"), (3e9, "3G")]
)
def test_steps_are_labelled_shortly(steps, label):
    assert steps_label(steps) == label
