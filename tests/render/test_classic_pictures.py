"""The pictures of the classic environments: what moves with what, and numbers beyond every limit."""

import jax
import numpy as np
import pytest

import jaxenvs
from jaxenvs.render import acrobot, cartpole, mountain_car, pendulum

IDS = ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"]
POLE, CART, FAIL = (222, 138, 62), (58, 84, 138), (214, 62, 66)
CAR, PUSH = (206, 66, 60), (64, 118, 204)
TIP, GOAL = (255, 98, 84), (104, 212, 148)


def near(picture, colour, tolerance=12):
    return (np.abs(picture.astype(int) - colour) <= tolerance).all(axis=-1)


def middle(mask):
    """(x, y) of the middle of what is true."""
    rows, columns = np.nonzero(mask)
    return columns.mean(), rows.mean()


def pole(position=0.0, angle=0.0, velocity=0.0, angular_velocity=0.0, **options):
    return cartpole.picture(
        position=position, velocity=velocity, angle=angle, angular_velocity=angular_velocity, **options
    )


def rod(angle=0.0, velocity=0.0, torque=0.0):
    return pendulum.picture(angle=angle, velocity=velocity, torque=torque)


def car(position=-0.5, velocity=0.0, goal_position=0.5, **options):
    return mountain_car.picture(position=position, velocity=velocity, goal_position=goal_position, **options)


def links(angle_1=0.0, angle_2=0.0, velocity_1=0.0, velocity_2=0.0, **options):
    return acrobot.picture(angle_1=angle_1, angle_2=angle_2, velocity_1=velocity_1, velocity_2=velocity_2, **options)


DRAWN = {"pole": pole, "rod": rod, "car": car, "links": links}


@pytest.mark.parametrize("id", IDS)
def test_an_environment_draws_its_own_states(id):
    env = jaxenvs.make(id)
    (state, _), (other, _) = env.reset(jax.random.key(0)), env.reset(jax.random.key(1))
    picture = env.render(state)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and (picture != env.render(other)).any()
    assert all(size % 2 == 0 for size in picture.shape[:2])
    np.testing.assert_array_equal(picture, env.render(state))


@pytest.mark.parametrize("id", IDS)
def test_a_picture_follows_the_constants(id):
    changes = {
        "CartPole-v1": {"angle_limit": 0.5},
        "Pendulum-v1": {"max_torque": 4.0},
        "MountainCar-v0": {"goal_position": 0.3},
        "MountainCarContinuous-v0": {"goal_position": 0.3},
        "Acrobot-v1": {"goal_height": 0.5},
    }[id]
    env = jaxenvs.make(id)
    state, _ = env.reset(jax.random.key(0))
    if id == "Pendulum-v1":
        state = state._replace(torque=jax.numpy.float32(1.5))
    assert (env.render(state) != env.replace(**changes).render(state)).any()


@pytest.mark.parametrize("value", [-np.inf, -1e30, 1e9, np.inf])
@pytest.mark.parametrize("drawn", DRAWN)
def test_values_beyond_every_limit_are_drawn(drawn, value):
    arguments = {"pole": 4, "rod": 3, "car": 2, "links": 4}[drawn]
    assert DRAWN[drawn](*[value] * arguments).any()


@pytest.mark.parametrize("drawn", DRAWN)
def test_arrays_are_the_callers_to_change(drawn):
    before = DRAWN[drawn]()
    DRAWN[drawn]()[:] = 0
    np.testing.assert_array_equal(DRAWN[drawn](), before)


def test_the_cart_moves_right_as_its_position_grows():
    places = [middle(near(pole(position)[200:], CART))[0] for position in np.linspace(-2, 2, 5)]
    np.testing.assert_allclose(np.diff(places), 250 / 2.4, atol=1)


def test_the_pole_leans_to_the_side_of_its_angle():
    left, upright, right = (middle(near(pole(angle=angle)[80:205], POLE))[0] for angle in (-0.2, 0, 0.2))
    assert abs(upright - 300) < 1 and left < 293 and right > 307 and abs(left + right - 600) < 2


@pytest.mark.parametrize(("position", "angle"), [(2.41, 0.0), (-2.41, 0.0), (0.0, 0.21), (0.0, -0.21)])
def test_a_lost_cart_or_pole_turns_red(position, angle):
    assert near(pole(position, angle), FAIL).sum() > 800 > near(pole(position * 0.99, angle * 0.99), FAIL).sum()


def test_the_rod_stands_upright_at_angle_0_and_turns_counter_clockwise():
    hanging = rod(np.pi)[350, 200]
    assert (rod(0.0)[350, 200] != hanging).any()
    assert (rod(np.pi / 2)[204, 80] != rod(-np.pi / 2)[204, 80]).any()
    np.testing.assert_array_equal(rod(np.pi / 2)[204, 80], rod(-np.pi / 2)[204, 320])


def test_the_torques_arrow_turns_with_it_and_grows():
    sides = [middle(near(rod(np.pi, torque=torque)[:340], PUSH))[0] - 200 for torque in (-1.0, 1.0)]
    assert sides[0] < -10 and sides[1] > 10
    sizes = [near(rod(np.pi, torque=torque)[:340], PUSH).sum() for torque in (0.0, 0.5, 1.0, 2.0)]
    assert sizes[0] == 0 and sizes == sorted(set(sizes))


def test_the_car_follows_the_hill():
    places = [middle(near(car(position)[60:], CAR)) for position in (-0.9, -0.5236, 0.1, 0.5)]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    heights = [y for _, y in places]
    assert np.argmax(heights) == 1 and np.argmin(heights) == 3


def test_the_goal_is_said_when_reached():
    assert (car(0.55, 0.01, reached=True) != car(0.55, 0.01)).any()
    assert near(links(3.0, reached=True), GOAL).sum() > near(links(3.0), GOAL).sum() + 200


@pytest.mark.parametrize(
    ("angles", "place"), [((0, 0), (0, 2)), ((np.pi / 2, 0), (2, 0)), ((np.pi, -np.pi / 2), (1, -1))]
)
def test_the_tip_is_where_the_links_lead(angles, place):
    x, y = middle(near(links(*angles)[:366], TIP))
    np.testing.assert_allclose((x - 200, y - 190), np.multiply(place, 82), atol=3)
