"""LunarLander: Gymnasium's lander with its dispersed engines, computed without Box2D."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step
from jaxenvs.physics import contact, legged
from jaxenvs.physics.legged import DT, HULL_CENTRE, LEG_REST, Hull, Leg
from jaxenvs.physics.loop import looped
from jaxenvs.physics.plane import cross, dot, minus, plus, times
from jaxenvs.physics.trig import sin_cos

#: Width and height of the world, and the height that observations count from, m: 600 x 400 pixels of 1/30 m.
WIDTH, HEIGHT, PAD = 20.0, 40 / 3, 10 / 3
#: How far the hull's origin is above the ground when the lander stands, for the observation, m.
STANDING = 18 / 30
#: The height of the pad: smoothing takes 0.33, not a third, m.
PAD_GROUND = 3.3
#: Wind indices are drawn from [-9999, 9999).
_WIND_INDICES = 9999
#: How far a particle of the main and of the side engines flies in a step, for each metre of their offset: for pictures.
_MAIN_REACH, _SIDE_REACH = 5.3, 1.2
#: Quiet steps until the lander sleeps: 0.5 s.
_SLEEPY = 25


class State(NamedTuple):
    """The lander, after a step."""

    #: Position and motion of the hull, and of both legs, right one first: see `Hull` and `Leg`.
    hull: Hull
    legs: tuple[Leg, Leg]
    #: Eight f32[], heights of the ground at x = 0, 2, 4, 6 and 14, 16, 18, 20, m; the pad between them is at 3.3.
    ground: tuple
    #: bool[], whether the hull's skin is at the ground: the next step is a crash.
    hull_touches: jax.Array
    #: bool[], whether the hull has touched the ground.
    crashed: jax.Array
    #: i32[], consecutive steps without motion, 0 to 25, and bool[], whether the lander sleeps.
    quiet_steps: jax.Array
    asleep: jax.Array
    #: i32[], where in their patterns wind and turbulence are.
    wind_index: jax.Array
    torque_index: jax.Array
    #: f32[], powers of the engines in the step that led here, 0 to 1 and -1 to 1 (positive is the right engine), and
    #: the two dispersions, -1 to 1; for the picture, no later step reads them.
    main_power: jax.Array
    side_power: jax.Array
    dispersion_along: jax.Array
    dispersion_across: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start, f32[...] each, uniform in [0, 1)."""

    #: Seven: raw heights of the ground at x = 0, 2, 4, 16, 18, 20 and 22; the others belong to the pad.
    heights: tuple
    force_x: jax.Array
    force_y: jax.Array
    wind_index: jax.Array
    torque_index: jax.Array


class Draws(NamedTuple):
    """Everything random in a step, f32[...] each, uniform in [0, 1)."""

    along: jax.Array
    across: jax.Array


class LunarLander(Environment):
    """Land between the flags with a main engine and two side engines, whose thrust has random errors.

    Source: Gymnasium's `box2d/lunar_lander.py` (version 3 of the environment, by O. Klimov), which uses Box2D 2.3:
    every constant, initial state, reward and end is the same as in that file. Another solver, which is faster in
    batches, replaces Box2D's: joints are eliminated exactly, and legs are solved as blocks. `docs/lunarlander.md` says
    how close the results are.

    | observation f32[8] | | range |
    |---|---|---|
    | 0 | position of the hull to the right of the middle of the pad, / 10 m | [-2.5, 2.5] |
    | 1 | height of the hull above its height when it stands on the pad, / 6.67 m | (-inf, inf) |
    | 2, 3 | velocity, / 5 m/s and / 7.5 m/s | (-inf, inf) |
    | 4 | angle, rad, counterclockwise | (-inf, inf) |
    | 5 | angular velocity, / 2.5 rad/s | (-inf, inf) |
    | 6, 7 | whether the right leg and the left leg touch the ground | {0, 1} |

    Gymnasium declares 2.5, 10, 2 pi and 10 for the bounds that are infinite here, but its observations exceed them. A
    leg's flag is set when the leg begins to touch one of the ground's edges, and cleared when it leaves an edge, so it
    can be 0 for a leg that stands on the ground.

    | action | |
    |---|---|
    | 0 | nothing |
    | 1 | left engine: pushes to the right, turns clockwise |
    | 2 | main engine |
    | 3 | right engine: pushes to the left, turns counterclockwise |

    Reward: the change of the shaping, minus 0.3 for the main engine and 0.03 for a side engine,

        shaping = -100 |(obs 0, obs 1)| - 100 |(obs 2, obs 3)| - 100 |obs 4| + 10 (obs 6 + obs 7);

    and instead -100 in the step of a crash, and 100 in the step in which the lander falls asleep.

    End: terminated when the hull touches the ground, when |obs 0| >= 1, and when the lander sleeps, after 25 steps in a
    row with every body slower than 0.01 m/s and 2 degrees/s; truncated after 1000 steps by the time limit.

    Start: at the top, in the middle, with a random push; the ground is random except for the pad.

    Inside `jit`, actions other than 1, 2 and 3 do nothing.

    >>> import jax
    >>> from jaxenvs.envs.lunar_lander import LunarLander
    >>> env = LunarLander(gravity=-1.62)
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, 2)
    >>> step.obs.shape, bool(step.terminated)
    ((8,), False)
    """

    max_episode_steps = 1000
    render_fps = 50
    keys_to_action = {"w": 2, "a": 1, "d": 3}  # noqa: RUF012
    not_constants = {"continuous": "use LunarLanderContinuous-v3 for it, LunarLander-v3 without it"}  # noqa: RUF012
    idle_action = 0

    #: m/s**2, upwards.
    gravity: float = constant(-10.0, above=-12.0, below=0.0)
    #: Whether there is wind, its greatest force, N, and the greatest torque of the turbulence, N m; Gymnasium
    #: recommends up to 20 and up to 2.
    enable_wind: bool = False
    wind_power: float = constant(15.0, low=0.0, high=100.0)
    turbulence_power: float = constant(1.5, low=0.0, high=10.0)
    #: Impulses of the engines for each metre of their offset, N s/m.
    main_engine_power: float = constant(13.0, low=0.0, high=100.0)
    side_engine_power: float = constant(0.6, low=0.0, high=10.0)
    #: Greatest dispersion of the engines, m: one pixel.
    engine_dispersion: float = constant(1 / 30, low=0.0, high=0.1)
    #: Greatest force of the push at the start, along each axis, N.
    start_force: float = constant(1000.0, low=0.0, high=2000.0)
    #: Mass, kg, and moment of inertia, kg m**2, of the hull and of a leg: areas times densities 5 and 1.
    hull_mass: float = constant(4.8166666, low=1.0, high=20.0)
    hull_inertia: float = constant(0.7838807, low=0.2, high=4.0)
    leg_mass: float = constant(0.07111112, low=0.02, high=0.5)
    leg_inertia: float = constant(0.001790947, low=0.0005, high=0.02)
    #: Torque, N m, and speed, rad/s, of the motors that hold the legs.
    leg_torque: float = constant(40.0, low=0.0, high=200.0)
    leg_speed: float = constant(0.3, low=0.0, high=3.0)
    #: Coefficient of friction between legs and ground: the geometric mean of 0.1 and 0.2.
    friction: float = constant(0.02**0.5, low=0.0, high=2.0)

    @property
    def observation_space(self):
        high = np.array([2.5, *[np.inf] * 5, 1.0, 1.0], np.float32)
        low = np.array([-2.5, *[-np.inf] * 5, 0.0, 0.0], np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(4)

    def draw_start(self, key, shape=()):
        draws = jax.random.uniform(key, (11, *shape))
        return StartDraws(tuple(draws[:7]), *draws[7:])

    def start(self, draws):
        wind_index, torque_index = (
            jnp.floor(2 * _WIND_INDICES * uniform).astype(jnp.int32) - _WIND_INDICES
            for uniform in (draws.wind_index, draws.torque_index)
        )
        force, torque = wind(self, wind_index, torque_index, True)
        moved = jnp.asarray(self.enable_wind).astype(jnp.int32)
        hull, legs = pushed_off(self, draws, force, torque)
        zero, false = jnp.zeros_like(draws.force_x), jnp.zeros_like(draws.force_x, bool)
        state = State(
            hull=hull,
            legs=legs,
            ground=ground_of(draws.heights),
            hull_touches=false,
            crashed=false,
            quiet_steps=jnp.zeros_like(wind_index),
            asleep=false,
            wind_index=wind_index + moved,
            torque_index=torque_index + moved,
            main_power=zero,
            side_power=zero,
            dispersion_along=zero,
            dispersion_across=zero,
        )
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return Draws(*jax.random.uniform(key, (2, *shape)))

    def transition(self, state, action, draws):
        main, side = self.powers(action)
        dispersions = 2 * draws.along - 1, 2 * draws.across - 1
        calm = ~(state.legs[0].contact | state.legs[1].contact)
        force, torque = wind(self, state.wind_index, state.torque_index, calm)
        moved = (calm & self.enable_wind).astype(jnp.int32)
        turns = legged.turns(state.hull, state.legs)
        hull = fired(self, state.hull, turns[0], main, side, dispersions)
        accelerations = force / self.hull_mass, torque / self.hull_inertia
        hull, legs, separation, still, settled = legged.step(
            bodies_of(self), hull, state.legs, turns, all_heights(state.ground), self.gravity, accelerations
        )
        hull_touches = separation <= contact.SKIN
        quiet_steps = jnp.where(still, jnp.minimum(state.quiet_steps + 1, _SLEEPY), 0)
        asleep = (quiet_steps >= _SLEEPY) & settled
        hull = hull._replace(
            **{name: jnp.where(asleep, 0.0, getattr(hull, name)) for name in ("velocity_x", "velocity_y", "rate")}
        )
        after = State(
            hull=hull,
            legs=legs,
            ground=state.ground,
            hull_touches=hull_touches,
            crashed=state.crashed | state.hull_touches | (separation < legged.SUDDEN),
            quiet_steps=quiet_steps,
            asleep=asleep,
            wind_index=state.wind_index + moved,
            torque_index=state.torque_index + moved,
            main_power=main,
            side_power=side,
            dispersion_along=dispersions[0],
            dispersion_across=dispersions[1],
        )
        reward, terminated = judge(self, state, after)
        return after, Step(self.observe(after), reward, terminated)

    def powers(self, action):
        """(power of the main engine, of the side engines), f32[]; the right engine's is positive."""
        main = (action == 2).astype(jnp.float32)
        return main, (action == 3).astype(jnp.float32) - (action == 1).astype(jnp.float32)

    def observe(self, state):
        return jnp.stack(observed(state), axis=-1)

    def render(self, state):
        from jaxenvs.render import lunar_lander

        return lunar_lander.picture(**shown(self, jax.device_get(state)))


class LunarLanderContinuous(LunarLander):
    """LunarLander with continuous engine power: Gymnasium's `continuous=True`.

    | action f32[2] | | range |
    |---|---|---|
    | 0 | main engine: off if at most 0, and from half to full power between 0 and 1; clipped | [-1, 1] |
    | 1 | side engines: the left one below -0.5, the right one above 0.5, with that power; clipped | [-1, 1] |

    Everything else is as in `LunarLander`.

    >>> import jax, jax.numpy as jnp
    >>> from jaxenvs.envs.lunar_lander import LunarLanderContinuous
    >>> env = LunarLanderContinuous(enable_wind=True)
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, jnp.array([0.5, -0.7]))
    >>> round(float(state.main_power), 3), round(float(state.side_power), 3)
    (0.75, -0.7)
    """

    keys_to_action = {  # noqa: RUF012
        "w": np.array([1.0, 0.0], np.float32),
        "a": np.array([0.0, -1.0], np.float32),
        "d": np.array([0.0, 1.0], np.float32),
        "aw": np.array([1.0, -1.0], np.float32),
        "dw": np.array([1.0, 1.0], np.float32),
    }
    idle_action = np.zeros(2, np.float32)

    @property
    def action_space(self):
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def powers(self, action):
        main, side = jnp.clip(action[0], -1.0, 1.0), jnp.clip(action[1], -1.0, 1.0)
        return jnp.where(main > 0, 0.5 * main + 0.5, 0.0), jnp.where(jnp.abs(side) > 0.5, side, 0.0)


def bodies_of(env):
    return legged.Bodies(
        env.hull_mass, env.hull_inertia, env.leg_mass, env.leg_inertia, env.leg_speed, env.leg_torque, env.friction
    )


def ground_of(heights):
    """The ground of `State` from seven uniforms: each vertex is 0.33 times the sum of three raw heights."""
    a, b, c, d, e, f, g = (uniform * (HEIGHT / 2) for uniform in heights)
    triples = (g, a, b), (a, b, c), (b, c, PAD), (c, PAD, PAD), (PAD, PAD, d), (PAD, d, e), (d, e, f), (e, f, g)
    return tuple(0.33 * (one + two + three) for one, two, three in triples)


def all_heights(ground):
    """All eleven heights of the ground."""
    pad = jnp.full_like(ground[0], PAD_GROUND)
    return (*ground[:4], pad, pad, pad, *ground[4:])


def wind(env, wind_index, torque_index, calm):
    """(force, N, and torque, N m) of the wind on the hull, which stops while a leg is on the ground.

    tanh(sin(2 k i) + sin(pi k i)) with k = 0.01, which has no period.
    """
    blows = calm & jnp.asarray(env.enable_wind)

    def gust(index):
        slow = sin_cos(0.02 * index.astype(jnp.float32))[0]
        # The second sine repeats after 200; so its argument stays small.
        fast = sin_cos((0.01 * math.pi) * (index % 200).astype(jnp.float32))[0]
        return jnp.where(blows, jnp.tanh(slow + fast), 0.0)

    force, torque = looped(gust, (wind_index, torque_index))
    return force * env.wind_power, torque * env.turbulence_power


def pushed_off(env, draws, wind_force, wind_torque):
    """(Hull, legs) after the step that Gymnasium's `reset` makes: it builds the legs apart and lets Box2D join them.

    What comes of it is linear in the push and the wind. The numbers were fitted to 400 starts of the real one, which
    they meet within 3e-6 m and m/s, and 3e-5 rad; for other masses velocities are divided by the mass.
    """
    lighter = 4.9588889 / (env.hull_mass + 2 * env.leg_mass)
    across = ((2 * draws.force_x - 1) * env.start_force + wind_force) * (0.001 * lighter)
    up = (2 * draws.force_y - 1) * env.start_force * (0.001 * lighter)
    torque = wind_torque * (0.7838807 / env.hull_inertia)
    fallen = DT * env.gravity
    angle = 0.0004395 * torque - 0.0092499 * across
    rate = 0.0217542 * torque - 0.4578771 * across
    sine, cosine = sin_cos(angle)
    hull = Hull(
        x=10 + 0.0807639 * across + HULL_CENTRE * sine,
        y=13.4407745 + DT * fallen + 0.0806632 * up - HULL_CENTRE * cosine,
        velocity_x=4.0427987 * across - 0.0004579 * torque,
        velocity_y=fallen + 4.0331615 * up,
        angle=angle,
        rate=rate,
    )
    bends = 0.5418779 - 0.0027470 * across + 0.0001303 * torque, -0.5421519 - 0.0027495 * across + 0.0001309 * torque
    zero, false = jnp.zeros_like(across), jnp.zeros_like(across, bool)
    legs = []
    for bend, side in zip(bends, legged.SIDES, strict=True):
        leg = Leg(**dict.fromkeys(Leg._fields, zero))._replace(touches_even=false, touches_odd=false, contact=false)
        rise = fallen + 4.0331615 * up + side * (0.0138323 * torque - 0.2911393 * across)
        leg = leg._replace(angle=angle + bend + side * LEG_REST, rate=rate, velocity_y=rise)
        # The motors have not come to rest: the bodies were joined with a jerk.
        motor = 0.0097 + 0.3497 * up + side * 0.028 * across
        legs.append(leg._replace(velocity_x=3.7067733 * across + 0.015507 * torque, motor=motor))
    return hull, tuple(legs)


def engines(env, turn, side, dispersions):
    """Where the engines are and where they blow, in the directions of the world; picture and physics share it.

    Returns:
        ((offset of the main engine from the hull's origin, m; its exhaust, m), the same of the side engine); an impulse
        is the exhaust times the power, and the hull is pushed the other way.
    """
    sine, cosine = turn
    up, left = (-sine, cosine), (-cosine, -sine)
    along, across = (env.engine_dispersion * dispersion for dispersion in dispersions)
    main = plus(times(up, -(4 / 30 + 2 * along)), times(left, across))
    aside = plus(times(up, -along), times(left, 3 * across + 0.4 * jnp.sign(side)))
    # The offset is turned as if 17 were 14; it is so in Gymnasium.
    place = aside[0] - sine * (17 / 30), aside[1] + cosine * (14 / 30)
    return (main, main), (place, aside)


def fired(env, hull, turn, main, side, dispersions):
    """The hull after the impulses of its engines; `turn` is (sine, cosine) of its angle."""
    sine, cosine = turn
    centre = -HULL_CENTRE * sine, HULL_CENTRE * cosine
    (main_place, main_exhaust), (side_place, side_exhaust) = engines(env, turn, side, dispersions)
    first = times(main_exhaust, -env.main_engine_power * main)
    second = times(side_exhaust, -env.side_engine_power * jnp.abs(side))
    turn = cross(minus(main_place, centre), first) + cross(minus(side_place, centre), second)
    impulse = plus(first, second)
    return hull._replace(
        velocity_x=hull.velocity_x + impulse[0] / env.hull_mass,
        velocity_y=hull.velocity_y + impulse[1] / env.hull_mass,
        rate=hull.rate + turn / env.hull_inertia,
    )


def observed(state):
    """The eight numbers of the observation."""
    hull, flags = state.hull, [leg.contact.astype(jnp.float32) for leg in state.legs]
    return (
        (hull.x - WIDTH / 2) / (WIDTH / 2),
        (hull.y - (PAD + STANDING)) / (HEIGHT / 2),
        hull.velocity_x * (WIDTH / 2 / 50),
        hull.velocity_y * (HEIGHT / 2 / 50),
        hull.angle,
        hull.rate * (20 / 50),
        *flags,
    )


def judge(env, before, after):
    """(reward, terminated) of a step."""
    fuel = 0.3 * after.main_power + 0.03 * jnp.abs(after.side_power)
    reward = improvement(observed(before), observed(after)) - fuel
    lost = after.crashed | (jnp.abs(observed(after)[0]) >= 1)
    reward = jnp.where(lost, -100.0, reward)
    return jnp.where(after.asleep, 100.0, reward), lost | after.asleep


def improvement(before, after):
    """What a step adds to the shaping, in points, from the observations around it.

    Each part of the shaping is about a hundred times what a step adds: so differences are taken before norms, as
    |a| - |b| = (a - b) . (a + b) / (|a| + |b|), and rounding does not count a hundredfold.
    """
    grown = jnp.abs(after[4]) - jnp.abs(before[4])
    for place in (0, 2):
        old, new = before[place : place + 2], after[place : place + 2]
        lengths = jnp.sqrt(dot(old, old)) + jnp.sqrt(dot(new, new))
        grown = grown + dot(minus(new, old), plus(new, old)) / jnp.maximum(lengths, 1e-9)
    return 10 * (after[6] - before[6] + after[7] - before[7]) - 100 * grown


def shown(env, state):
    """What the picture of a state shows, as plain numbers."""
    hull, origin = state.hull, (state.hull.x, state.hull.y)
    legs = []
    for leg, side in zip(state.legs, legged.SIDES, strict=True):
        centre = plus(origin, legged.leg_arm(sin_cos(leg.angle), side))
        legs.append((float(centre[0]), float(centre[1]), float(leg.angle)))
    dispersions = state.dispersion_along, state.dispersion_across
    plumes = []
    powers = (state.main_power, _MAIN_REACH), (abs(state.side_power), _SIDE_REACH)
    blown = engines(env, sin_cos(hull.angle), state.side_power, dispersions)
    for (place, exhaust), (power, reach) in zip(blown, powers, strict=True):
        start, way = plus(origin, place), times(exhaust, reach)
        plumes.append(tuple(map(float, (*start, *way, power))))
    return {
        "x": float(hull.x),
        "y": float(hull.y),
        "angle": float(hull.angle),
        "legs": legs,
        "ground": [float(height) for height in all_heights(state.ground)],
        "pad": (8.0, 12.0, PAD),
        "hull": legged.HULL,
        "leg_size": (legged.LEG_WIDTH, legged.LEG_HEIGHT),
        "plumes": plumes,
    }
