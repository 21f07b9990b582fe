"""The pictures of HeartPole-v1, PointIntercept, FiveChoices, RocketLanding and LunarLander."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.envs.point_intercept import overlaps
from jaxenvs.render import five_choices, heartpole, heartpole_v1, lunar_lander, point_intercept, rocket_landing

AWAKE = dict(
    alertness=1.0,
    hypertension=0.5,
    intoxication=0.02,
    time_since_slept=6.0,
    time_elapsed=200.0,
    work_done=60.0,
    high=0.0,
    last_action=0,
    heart_attack=False,
    dead=False,
    attack_risk=0.002,
    productivity=0.8,
    deadline=672.0,
)
DESCENT = dict(
    x=4.0,
    height=40.0,
    velocity_x=1.0,
    velocity_y=-5.0,
    tilt=0.0,
    tilt_rate=0.0,
    fuel=60.0,
    wind=0.0,
    thrust=8000.0,
    gimbal=0.0,
    outcome=0,
    start_fuel=100.0,
    thrust_high=13258.0,
    pad_half_width=5.0,
    landing_descent=2.1,
    landing_drift=1.2,
    landing_tilt=0.105,
)
POINTS = dict(worker_x=10, worker_y=12, target_x=25, target_y=25, intercepted=False, radius=6, resolution=50)
FLAME, NOSE = (255, 150, 50), (240, 84, 80)


def day(**changes):
    return heartpole_v1.picture(**AWAKE | changes)


def descent(**changes):
    return rocket_landing.picture(**DESCENT | changes)


def points(**changes):
    return point_intercept.picture(**POINTS | changes)


def doors(last_action, paying_choice=2):
    return five_choices.picture(last_action=last_action, paying_choice=paying_choice)


def near(picture, colour, tolerance=12):
    return (np.abs(picture.astype(int) - colour) <= tolerance).all(axis=-1)


def changed(one, other):
    return (one != other).any(axis=-1)


@pytest.mark.parametrize(
    ("picture", "shape"),
    [(day, (360, 640, 3)), (descent, (400, 640, 3)), (points, (320, 440, 3)), (lambda: doors(-1), (240, 480, 3))],
)
def test_a_picture_is_uint8_of_its_size_and_a_function_of_its_arguments_alone(picture, shape):
    one = picture()
    assert one.dtype == np.uint8 and one.shape == shape
    one_kept = one.copy()
    one[:] = 0
    np.testing.assert_array_equal(picture(), one_kept)


# HeartPole-v1


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(-1, 9), 2)))
def test_each_action_looks_different_in_room_and_caption(first, second):
    difference = changed(day(last_action=first), day(last_action=second))
    assert difference[312:, :400].any()
    if {first, second} != {-1, 0}:
        assert difference[:312, :400].sum() > 200


def test_the_first_four_actions_have_v0s_room():
    for action in range(4):
        numbers = {name: AWAKE[name] for name in AWAKE.keys() - {"high", "dead", "deadline", "last_action"}}
        v0 = heartpole.picture(**numbers, last_action=action)
        np.testing.assert_array_equal(day(last_action=action)[:312, :400], v0[:312, :400])


def test_death_looks_different_from_a_heart_attack():
    assert changed(day(heart_attack=True), day(heart_attack=True, dead=True))[:312, :400].mean() > 0.9


def test_cannabis_hangs_in_the_room_and_stands_in_the_caption():
    difference = changed(day(), day(high=0.4))
    assert difference[:312, :400].sum() > 5000 and difference[312:, 300:400].any() and not difference[:, 400:].any()


def test_the_bar_of_the_deadline_fills_with_time():
    widths = [near(day(time_elapsed=t)[48:49, 420:620], (246, 178, 74)).sum() for t in (168.0, 336.0, 504.0)]
    np.testing.assert_allclose(widths, [50, 100, 150], atol=4)


def test_an_unknown_action_is_refused_with_its_value():
    with pytest.raises(ValueError, match=r"-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, got 9"):
        day(last_action=9)


# RocketLanding


def scene(**changes):
    return descent(**changes)[:340, :440]


def centre(mask):
    rows, columns = np.nonzero(mask)
    return columns.mean(), rows.mean()


def test_the_rocket_is_right_of_the_pad_where_x_is_positive_and_sinks_with_its_height():
    left, right = (centre(near(scene(x=x), NOSE))[0] for x in (-12.0, 12.0))
    assert left < 220 < right
    high, low = (centre(near(scene(height=h, x=0.0), NOSE))[1] for h in (40.0, 30.0))
    assert high < 340 and low < 340 and abs(high - low) > 1


@pytest.mark.parametrize("tilt", [-0.4, 0.4])
def test_the_rocket_leans_as_it_is_tilted(tilt):
    picture = scene(tilt=tilt, x=0.0)
    assert np.sign(centre(near(picture, NOSE))[0] - centre(near(picture, FLAME))[0]) == np.sign(tilt)


@pytest.mark.parametrize("gimbal", [-0.25, 0.25])
def test_the_flame_swings_to_the_side_that_turns_the_rocket_away_from_it(gimbal):
    # Positive turns to the right: the exhaust pushes the tail to the left, and so goes to the right.
    assert np.sign(centre(near(scene(gimbal=gimbal, x=0.0), FLAME))[0] - 220) == np.sign(gimbal)


def test_the_flame_grows_with_the_thrust_and_is_absent_without():
    sizes = [near(scene(thrust=thrust), FLAME).sum() for thrust in (0.0, 4000.0, 8000.0, 13258.0)]
    assert sizes[0] == 0 and sizes == sorted(sizes) and len(set(sizes)) == 4


@pytest.mark.parametrize(
    ("name", "value", "rows"),
    [
        ("fuel", 20.0, (56, 92)),
        ("thrust", 13258.0, (98, 136)),
        ("height", 41.0, (156, 180)),
        ("velocity_y", -1.0, (232, 256)),
        ("velocity_x", -2.0, (270, 294)),
        ("tilt_rate", 0.1, (346, 370)),
    ],
)
def test_each_number_changes_its_own_part_of_the_panel(name, value, rows):
    difference = changed(descent(), descent(**{name: value}))[:, 440:].any(axis=1)
    assert difference[rows[0] : rows[1]].any()
    difference[rows[0] : rows[1]] = False
    assert not difference.any()


def test_each_ending_looks_different():
    pictures = [descent(outcome=outcome, height=0.0) for outcome in range(4)]
    assert all(changed(one, other).any() for one, other in itertools.combinations(pictures, 2))


@pytest.mark.parametrize("value", [-1e9, 1e9])
def test_extreme_values_are_drawn(value):
    assert descent(x=value, height=abs(value), velocity_y=value, tilt=value, gimbal=value, wind=value).shape[0] == 400
    assert day(alertness=value, hypertension=abs(value), high=abs(value), work_done=value).shape[0] == 360


# PointIntercept and FiveChoices


def test_the_points_lie_where_they_are():
    picture = points(worker_x=40, worker_y=10)[16:304, 16:304]
    for colour, place in (((52, 106, 232), (40, 10)), ((232, 60, 62), (25, 25))):
        x, y = (round(288 / 50 * coordinate) for coordinate in place)
        assert near(picture[y - 5 : y + 5, x - 5 : x + 5], colour).mean() > 0.6


def test_a_point_at_the_edge_does_not_reach_beyond_the_square():
    picture = points(worker_x=50, worker_y=50)
    assert not near(picture[306:], (52, 106, 232)).any() and not near(picture[130:, 310:], (52, 106, 232)).any()


def test_a_touch_is_said():
    assert changed(points(), points(intercepted=True))[190:230, 320:].any()


def test_the_opened_door_is_another_for_each_choice():
    pictures = [doors(action) for action in range(-1, 5)]
    for one, other in itertools.combinations(pictures, 2):
        assert changed(one, other)[50:200].sum() > 2000


def test_the_paying_door_says_so():
    assert near(doors(2)[:50], (96, 196, 138)).any() and not near(doors(3)[:50], (96, 196, 138)).any()
    assert near(doors(3, paying_choice=3)[:50], (96, 196, 138)).any()


LANDING = dict(
    x=10.0,
    y=6.0,
    angle=0.0,
    legs=((10.8, 5.65, 0.35), (9.2, 5.65, -0.35)),
    ground=[2.0] * 4 + [3.3] * 3 + [4.0] * 4,
    pad=(8.0, 12.0, 10 / 3),
    hull=((-0.4, 0.5), (-0.5, -0.3), (0.5, -0.3), (0.4, 0.5)),
    leg_size=(2 / 30, 8 / 30),
    plumes=(),
)
HULL, MOON, YELLOW = (128, 102, 230), (255, 255, 255), (204, 204, 0)


def landing(**changes):
    return lunar_lander.picture(**LANDING | changes)


def pixels(image, colour):
    """(rows, columns) of the pixels of a colour."""
    return np.nonzero((image == colour).all(axis=2))


def test_the_lander_picture_is_uint8_of_its_size():
    image = landing()
    assert image.shape == (400, 600, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, landing())


def test_the_hull_is_drawn_where_it_is():
    rows, columns = pixels(landing(x=6.0, y=9.0, legs=()), HULL)
    assert abs(columns.mean() - 6 * 30) < 2 and abs(rows.mean() - (400 - 9.1 * 30)) < 3


def test_the_ground_rises_to_the_right():
    rows, columns = pixels(landing(), MOON)
    assert rows[columns == 10].min() == pytest.approx(400 - 60, abs=2)
    assert rows[columns == 590].min() == pytest.approx(400 - 120, abs=2)


def test_two_flags_stand_at_the_ends_of_the_pad():
    _, columns = pixels(landing(), YELLOW)
    assert set(np.unique(columns // 120)) == {2, 3} and columns.min() == pytest.approx(240, abs=2)


def test_an_exhaust_is_drawn_where_it_blows_and_not_below_the_ground():
    plume = (10.0, 5.5, 0.0, -0.7, 1.0)

    def red(image):
        red, green, blue = image.astype(int).transpose(2, 0, 1)
        return (red > green + 60) & (green == blue)

    assert not red(landing()).any() and not red(landing(plumes=[(*plume[:4], 0.0)])).any()
    rows, columns = np.nonzero(red(landing(plumes=[plume])))
    assert abs(columns.mean() - 300) < 2 and rows.max() <= 400 - 3.3 * 30 and rows.max() - rows.min() > 30


@pytest.mark.parametrize("value", [1e30, -1e30, float("nan"), float("inf")])
def test_a_lander_far_away_is_drawn_without_error(value):
    assert landing(x=value, y=value, angle=value, plumes=[(value, value, 0.0, 1.0, 1.0)]).shape == (400, 600, 3)


@pytest.mark.parametrize(("radius", "target"), [(6, (25, 25)), (6, (2, 48)), (9, (50, 0))])
def test_the_green_area_holds_the_places_that_count_and_no_others(radius, target):
    env = jaxenvs.PointIntercept(radius=radius)
    axis = jnp.arange(51)
    for name, place in zip(("target_x", "target_y"), target, strict=True):
        counts = overlaps(env, axis, jnp.full_like(axis, place))
        first, end = point_intercept.touching(place, radius, 50)
        assert np.flatnonzero(counts).tolist() == list(range(first, end)), name
    picture = points(target_x=25, target_y=25, worker_x=0, worker_y=0)
    area = np.argwhere(near(picture, (214, 240, 224)))
    np.testing.assert_allclose(area.min(axis=0)[0], 16 + 288 / 50 * 20, atol=3)


def test_a_pixel_of_the_picture_is_a_place_and_one_outside_is_none():
    env = jaxenvs.PointInterceptContinuous()
    place = env.action_at(16 + 288 * 0.5, 16 + 288 * 0.9)
    assert place is not None
    np.testing.assert_allclose(place, [25.0, 45.0], atol=1e-4)
    np.testing.assert_array_equal(env.action_at(16 + 289.0, 16.0), np.array([50.0, 0.0], np.float32), strict=True)
    assert env.action_at(330.0, 100.0) is None
    np.testing.assert_array_equal(
        jaxenvs.PointIntercept().action_at(160, 160), np.array([25, 25], np.int32), strict=True
    )
