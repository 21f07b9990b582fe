import builtins
import functools
import itertools
import sys

import numpy as np
import pytest

from jaxenvs.render import canvas, heartpole, rocket

NOSE = (255, 84, 62)
FLAME = (255, 158, 50)
ROCKET_COLUMNS = slice(0, 448)

AWAKE = dict(
    alertness=1.0,
    hypertension=0.5,
    intoxication=0.02,
    time_since_slept=6.0,
    time_elapsed=8.0,
    work_done=6.0,
    last_action=0,
    heart_attack=False,
    attack_risk=0.002,
    productivity=0.8,
)


def day(**changes):
    return heartpole.picture(**AWAKE | changes)


def near(picture, colour, tolerance=12):
    return (np.abs(picture.astype(int) - colour) <= tolerance).all(axis=-1)


def red_pixels(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return ((red > 120) & (red > 2 * green) & (red > 1.5 * blue)).sum()


def mean_column(mask):
    return np.nonzero(mask)[1].mean()


# HeartPole


def test_heartpole_picture_is_uint8_of_its_size():
    picture = day()
    assert picture.dtype == np.uint8 and picture.shape == (360, 640, 3)


def test_heartpole_picture_is_a_function_of_its_arguments_alone():
    first = day()
    day(last_action=3, heart_attack=True)
    np.testing.assert_array_equal(first, day())


def test_heartpole_picture_takes_numpy_scalars():
    scalars = {name: np.asarray(value, np.float32) for name, value in AWAKE.items()}
    scalars |= {"last_action": np.int32(0), "heart_attack": np.bool_(False)}
    assert day(**scalars).shape == (360, 640, 3)


def test_heartpole_arrays_are_the_callers_to_change():
    picture = day()
    before = picture.copy()
    picture[:] = 0
    np.testing.assert_array_equal(day(), before)


@pytest.mark.parametrize("first, second", list(itertools.combinations(range(-1, 4), 2)))
def test_each_action_looks_different_in_room_and_caption(first, second):
    one, other = day(last_action=first), day(last_action=second)
    assert (one[312:, :400] != other[312:, :400]).any()
    if {first, second} != {-1, 0}:
        assert (one[:312, :400] != other[:312, :400]).any(axis=-1).sum() > 500


@pytest.mark.parametrize(
    "changes, rows",
    [
        ({"alertness": 2.0}, (122, 160)),
        ({"hypertension": 3.0}, (169, 207)),
        ({"intoxication": 0.1}, (216, 254)),
        ({"time_since_slept": 30.0}, (263, 301)),
        ({"attack_risk": 0.2}, (310, 348)),
        ({"work_done": 9.0}, (74, 106)),
        ({"productivity": -0.3}, (74, 106)),
        ({"time_elapsed": 56.0, "work_done": 42.0}, (16, 40)),
    ],
)
def test_each_number_changes_its_own_part_of_the_panel(changes, rows):
    changed = (day(**changes) != day())[:, 400:].any(axis=(1, 2))
    assert changed[rows[0] : rows[1]].any()
    changed[rows[0] : rows[1]] = False
    assert not changed.any()


@pytest.mark.parametrize(
    "row, changes",
    [
        (0, {"alertness": 2.0}),
        (1, {"hypertension": 1.0}),
        (2, {"intoxication": 0.05}),
        (3, {"time_since_slept": 12.0}),
        (4, {"attack_risk": 0.004}),
    ],
)
def test_gauges_move_and_their_numbers_change(row, changes):
    changed = (day(**changes) != day()).any(axis=-1)
    y = 134 + 47 * row
    assert changed[y - 8 : y + 8, 575:620].any() and changed[y + 12 : y + 24, 420:620].sum() > 50


def test_average_productivity_at_time_zero_is_zero():
    start = dict(time_elapsed=0.0, last_action=-1)
    np.testing.assert_array_equal(day(**start, work_done=0.0), day(**start, work_done=5.0))


@pytest.mark.parametrize("action", (0, 1, 2, 3))
def test_heart_attack_turns_the_room_red(action):
    calm = red_pixels(day(last_action=action))
    assert red_pixels(day(last_action=action, heart_attack=True)) > calm + 30_000


def test_heart_grows_and_reddens_with_hypertension():
    discs = [day(hypertension=hypertension)[26:122, 294:390] for hypertension in (0.0, 3.0, 6.0, 10.0)]
    wall = [(disc.astype(int)[..., 0] - disc.astype(int)[..., 1] > 40).sum() for disc in discs]
    green = [disc[..., 1].min() for disc in discs]
    assert wall == sorted(wall) and wall[-1] > 3 * wall[0]
    assert green == sorted(green, reverse=True) and len(set(green)) == 4


def test_night_is_darker_than_day():
    noon, midnight = day(time_elapsed=8.0), day(time_elapsed=32.0)
    assert midnight[:312, :400].mean() < 0.6 * noon[:312, :400].mean()


def test_sky_repeats_after_48_half_hours_and_the_day_number_does_not():
    first, second = day(time_elapsed=8.0), day(time_elapsed=56.0)
    np.testing.assert_array_equal(first[:, :400], second[:, :400])
    assert (first[:48, 400:520] != second[:48, 400:520]).any()


def test_eyes_close_with_sleepiness():
    white = [near(day(alertness=a)[140:162, 230:290], (255, 255, 255)).sum() for a in (-1.0, 0.3, 1.0, 3.5)]
    assert all(later > 1.2 * earlier for earlier, later in itertools.pairwise(white))


def test_unknown_action_is_refused_with_its_value():
    with pytest.raises(ValueError, match=r"-1, 0, 1, 2, 3, got 4"):
        day(last_action=4)


@pytest.mark.parametrize("sign", (-1, 1))
@pytest.mark.parametrize("action", range(-1, 4))
def test_extreme_heartpole_values_are_drawn(sign, action):
    picture = day(
        alertness=sign * 400.0,
        hypertension=500.0,
        intoxication=8.0,
        time_since_slept=1e6,
        time_elapsed=17_000.0,
        work_done=sign * 1e30,
        last_action=action,
        heart_attack=sign > 0,
        attack_risk=1.0 if sign > 0 else 0.0,
        productivity=sign * 1e9,
    )
    assert picture.shape == (360, 640, 3)


def test_infinite_heartpole_values_are_drawn():
    infinite = dict.fromkeys(("alertness", "hypertension", "intoxication", "time_since_slept"), np.inf)
    assert (day(**infinite) != day()).any()


def test_gauges_saturate_while_numbers_go_on():
    one, other = day(hypertension=12.0), day(hypertension=50.0)
    rows = slice(169, 207)
    np.testing.assert_array_equal(one[190:207, 400:], other[190:207, 400:])
    assert (one[rows, 560:] != other[rows, 560:]).any()


# The rocket


def fly(position=0.0, velocity=0.0, thrust=0.0, **options):
    return rocket.picture(position=position, velocity=velocity, thrust=thrust, **options)


def test_rocket_picture_is_uint8_of_its_size_and_deterministic():
    picture = fly(0.5, -0.2, 1.0)
    assert picture.dtype == np.uint8 and picture.shape == (240, 640, 3)
    np.testing.assert_array_equal(picture, fly(0.5, -0.2, 1.0))


def test_rocket_moves_right_as_position_grows():
    columns = [mean_column(near(fly(x, 0.3)[50:176, ROCKET_COLUMNS], NOSE)) for x in np.linspace(-2, 2, 9)]
    np.testing.assert_allclose(np.diff(columns), 43, atol=1.5)


def test_rocket_at_the_goal_is_in_the_middle_of_the_axis():
    both = [mean_column(near(fly(0.0, v)[50:176, ROCKET_COLUMNS], NOSE)) for v in (0.5, -0.5)]
    assert abs(np.mean(both) - 236) < 1


@pytest.mark.parametrize("velocity", (-0.5, 0.5))
@pytest.mark.parametrize("thrust", (-0.8, 0.8))
def test_flame_is_opposite_to_thrust(velocity, thrust):
    flame = mean_column(near(fly(0.0, velocity, thrust)[60:176, ROCKET_COLUMNS], FLAME)) - 236
    assert np.sign(flame) == -np.sign(thrust) and abs(flame) > 20


def test_flame_grows_with_thrust_and_is_absent_without():
    sizes = [near(fly(0.5, 0.3, thrust)[60:176, ROCKET_COLUMNS], FLAME).sum() for thrust in (0.0, 0.25, 0.5, 1.0)]
    assert sizes[0] == 0 and sizes == sorted(sizes) and len(set(sizes)) == 4


def test_rocket_points_where_it_goes():
    for velocity in (-0.5, 0.5):
        picture = fly(0.0, velocity)[140 - 2 : 140 + 2, ROCKET_COLUMNS]
        assert np.sign(mean_column(near(picture, NOSE)) - 236) == np.sign(velocity)


def test_pictures_mirror_with_the_state():
    one, other = (fly(s * 0.8, s * 0.4, s * 0.7)[118:165, 36:437] for s in (-1, 1))
    different = (np.abs(one.astype(int) - other[:, ::-1].astype(int)) > 100).any(axis=-1)
    assert different.mean() < 0.02


def test_rocket_out_of_bounds_stays_at_the_wall_with_a_true_number():
    at, beyond = fly(2.0, 0.5), fly(300.0, 0.5)
    np.testing.assert_array_equal(at[50:200, ROCKET_COLUMNS], beyond[50:200, ROCKET_COLUMNS])
    assert (at[:46, 80:160] != beyond[:46, 80:160]).any()
    assert near(beyond[205:], NOSE).sum() > near(at[205:], NOSE).sum()
    assert abs(mean_column(near(beyond[:, 450:], NOSE)) + 450 - (540 + 78)) < 1.5


def test_limits_scale_the_rocket_picture():
    one = fly(0.7, -0.3, 0.4)
    other = fly(7.0, -3.0, 4.0, limit=20.0, thrust_limit=10.0)
    np.testing.assert_array_equal(one[110:178, ROCKET_COLUMNS], other[110:178, ROCKET_COLUMNS])


def test_phase_plane_dot_follows_position_and_velocity():
    for x, v in ((1.0, 0.5), (-1.5, 1.0), (0.5, -1.8)):
        rows, columns = np.nonzero(near(fly(x, v)[:, 450:], NOSE))
        assert abs(columns.mean() + 450 - (540 + 39 * x)) < 1.5 and abs(rows.mean() - (118 - 39 * v)) < 1.5


@pytest.mark.parametrize("value", (-1e30, -np.inf, 1e9, np.inf))
def test_extreme_rocket_values_are_drawn(value):
    assert fly(value, value, value).shape == (240, 640, 3)


# The canvas


def test_number_stays_short():
    for value in np.r_[0.0, np.logspace(-6, 38, 300)]:
        for signed in (value, -value):
            assert len(canvas.number(float(signed), 3, sign=True)) <= 8
    assert canvas.number(-0.0004, 3) == "0.000"
    assert canvas.number(99_999.7, 3) == "1.0e+05"


def test_bar_fills_its_share():
    for start, share, left, right in ((0.0, 0.5, 0, 100), (0.0, 7.0, 0, 200), (0.25, 0.75, 50, 150)):
        board = canvas.Canvas(200, 10, (0, 0, 0))
        board.bar(0, 0, 200, 10, share, (255, 255, 255), (0, 0, 255), start)
        columns = np.nonzero(near(board.to_array()[4], (255, 255, 255)))[0]
        assert abs(columns.min() - left) <= 1 and abs(columns.max() + 1 - right) <= 1


def test_bar_of_nothing_is_empty():
    board = canvas.Canvas(200, 10, (0, 0, 0))
    board.bar(50, 0, 150, 10, -0.3, (255, 255, 255), (0, 0, 255))
    assert not near(board.to_array(), (255, 255, 255)).any()


def test_colours_between_stops_are_mixed_and_beyond_them_constant():
    stops = ((0, (0, 0, 0)), (2, (100, 50, 10)), (3, (0, 0, 0)))
    colours = [canvas.ramp(stops, position) for position in (-5, 0, 1, 2, 2.5, 9)]
    assert colours == [(0, 0, 0), (0, 0, 0), (50, 25, 5), (100, 50, 10), (50, 25, 5), (0, 0, 0)]
    assert canvas.mix((0, 10, 20), (10, 20, 30), 7.0) == (10, 20, 30)


def test_canvas_from_a_canvas_is_a_copy():
    first = canvas.Canvas(8, 8, (9, 9, 9))
    second = canvas.Canvas(8, 8, first)
    second.rectangle(0, 0, 8, 8, (200, 0, 0))
    assert (first.to_array() == 9).all() and (second.to_array() == (200, 0, 0)).all()


def test_opacity_blends():
    board = canvas.Canvas(4, 4, (0, 0, 0))
    board.rectangle(0, 0, 4, 4, (200, 100, 0, 128))
    assert np.abs(board.to_array().astype(int) - (100, 50, 0)).max() <= 1


def test_missing_pillow_is_said_in_one_sentence(monkeypatch):
    real = builtins.__import__

    def without_pillow(name, *rest, **options):
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(canvas, "_pillow", functools.cache(canvas._pillow.__wrapped__))
    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ImportError, match=r'^pictures need Pillow: pip install "jaxenvs\[play\]"$'):
        canvas.Canvas(2, 2)


def test_render_imports_neither_pillow_nor_jax_itself():
    from_render = [name for name in sys.modules if name.startswith("jaxenvs.render.")]
    for name in from_render:
        names = vars(sys.modules[name])
        assert not {"PIL", "Image", "jax", "jnp"} & set(names)
