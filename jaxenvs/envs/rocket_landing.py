"""RocketLanding: the last hundred metres of a powered descent, in a plane, onto a pad."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step
from jaxenvs.physics.trig import sin_cos

FLYING, LANDED, CRASHED, LOST = range(4)


class State(NamedTuple):
    """The rocket, after a step."""

    #: f32[], horizontal distance of the feet from the middle of the pad, m; positive to the right.
    x: jax.Array
    #: f32[], >= 0, height of the feet above the ground, m.
    height: jax.Array
    #: f32[], m/s, positive to the right.
    velocity_x: jax.Array
    #: f32[], m/s, positive upwards.
    velocity_y: jax.Array
    #: f32[], angle of the axis from the vertical, rad; positive leans to the right.
    tilt: jax.Array
    #: f32[], rad/s.
    tilt_rate: jax.Array
    #: f32[], >= 0, fuel left, kg.
    fuel: jax.Array
    #: f32[], horizontal speed of the air, m/s, positive to the right; the same for the entire episode.
    wind: jax.Array
    #: f32[], N, thrust of the step that led here; for the picture, no later step reads it.
    thrust: jax.Array
    #: f32[], rad, gimbal angle of the step that led here; for the picture, no later step reads it.
    gimbal: jax.Array
    #: i32[], 0 flying, 1 landed, 2 crashed, 3 lost: out of the arena or tumbled.
    outcome: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start, f32[...] each, uniform in [0, 1)."""

    x: jax.Array
    height: jax.Array
    velocity_x: jax.Array
    velocity_y: jax.Array
    tilt: jax.Array
    tilt_rate: jax.Array
    wind: jax.Array


class RocketLanding(Environment):
    """Control throttle and gimbal of a rocket engine, and land the rocket softly on the pad with the remaining fuel.

    Source: the descent of a point mass, its mass and its engines are from Acikmese and Ploen 2007 (Convex
    programming approach to powered descent guidance for Mars landing, JGCD 30(5)) and from their example; the gimballed
    engine below the centre of mass follows Szmuk and Acikmese 2018 (arXiv:1802.03827), reduced to a plane; the drag is
    from Szmuk, Acikmese and Berning 2016 (Successive convexification for fuel-optimal powered landing with aerodynamic
    drag).

        m' = -T / c                        m = dry_mass + fuel, c = exhaust_velocity
        v' = T / m * (sin(tilt - gimbal), cos(tilt - gimbal)) - (0, gravity) - drag / m * |u| * u
        tilt'' = T * engine_arm * sin(gimbal) / (m * gyration_radius**2)

    with u = v - (wind, 0), drag = air_density * drag_area / 2, and the midpoint rule over `dt`. The engine cannot be
    shut off while there is fuel. In a step, it burns at most the remaining fuel.

    | observation f32[9] | | range |
    |---|---|---|
    | 0, 1 | x / 50 m, height / 100 m | (-inf, inf) |
    | 2, 3 | horizontal and vertical velocity / 10 m/s | (-inf, inf) |
    | 4, 5 | tilt / 0.5 rad, tilt rate / 0.5 rad/s | (-inf, inf) |
    | 6 | fuel / start_fuel | [0, 1] |
    | 7 | wind / 10 m/s | (-inf, inf) |
    | 8 | result: 1 landed, -1 crashed or lost, 0 still flying | {-1, 0, 1} |

    | action f32[2] | | range |
    |---|---|---|
    | 0 | throttle: -1 is thrust_low, 1 is thrust_high; clipped | [-1, 1] |
    | 1 | gimbal, as a fraction of gimbal_limit; positive turns the rocket to the right; clipped | [-1, 1] |

    Reward, in metres per second: the decrease, in this step, of the estimated speed change that a landing still needs
    (`to_go`), minus fuel_cost times the speed change from the burnt fuel (c ln(m / m_next), the rocket equation); plus
    landing_bonus on landing; minus crash_penalty on crashing or getting lost. The estimate is a potential (Ng et al.
    1999): the return of an entire episode is to_go(start) - to_go(end) - fuel_cost * speed change from the fuel + bonus
    - penalty, for any path. So a faster crash costs more, and fuel_cost weighs a metre per second of fuel against a
    metre per second that is missing on the ground; with 1, braking would be worthwhile only for the bonus.

    End: terminated as landed if the feet reach the ground within `pad_half_width`, and are within the four landing
    limits of speed, tilt and rotation; as crashed if they reach it otherwise; as lost beyond `arena_width`,
    `arena_height` or `tilt_limit`; truncated after 250 steps by the time limit.

    Start: each quantity uniform between its limits, independently.

    Inside `jit`, actions outside [-1, 1] are clipped; NaN gives a NaN state.

    >>> import jax, jax.numpy as jnp, jaxenvs
    >>> env = jaxenvs.RocketLanding(gravity=1.62)
    >>> state, obs = env.reset(jax.random.key(0))
    >>> gradient = jax.grad(lambda action: env.transition(state, action, ())[1].reward)(jnp.zeros(2))
    >>> gradient.shape
    (2,)
    """

    max_episode_steps = 250
    render_fps = 20
    keys_to_action = {  # noqa: RUF012
        "w": np.array([1.0, 0.0], np.float32),
        "a": np.array([0.0, -1.0], np.float32),
        "d": np.array([0.0, 1.0], np.float32),
        "s": np.array([-1.0, 0.0], np.float32),
    }
    info_fields = ("outcome",)

    #: Length of a step, s.
    dt: float = constant(0.2, above=0.0, high=1.0)
    #: m/s**2, downwards; 3.7114 is that of Mars.
    gravity: float = constant(3.7114, low=0.0)
    #: kg.
    dry_mass: float = constant(1505.0, above=0.0)
    #: Fuel at the start, kg; the paper's descent starts with 400, and this is left near its end.
    start_fuel: float = constant(100.0, above=0.0)
    #: Minimum and maximum thrust, N: six engines of 3.1 kN, canted by 27 degrees, at 30 and 80 per cent.
    thrust_low: float = constant(4972.0, low=0.0)
    thrust_high: float = constant(13258.0, low=0.0)
    #: m/s; a specific impulse of 225 s times 9.807 m/s**2, canted by 27 degrees.
    exhaust_velocity: float = constant(1966.0, above=0.0)
    #: Maximum gimbal angle, rad.
    gimbal_limit: float = constant(0.25, low=0.0, below=math.pi / 2)
    #: Distance of the engine below the centre of mass, m.
    engine_arm: float = constant(2.5, low=0.0)
    #: m; constant while the fuel burns.
    gyration_radius: float = constant(1.8, above=0.0)
    #: kg/m**3; 0.02 is that of Mars, 0 is a vacuum.
    air_density: float = constant(0.02, low=0.0)
    #: Drag coefficient times area, m**2.
    drag_area: float = constant(10.0, low=0.0)
    #: Middle of the wind's range and half its width, m/s.
    wind: float = 0.0
    wind_spread: float = constant(0.0, low=0.0)
    #: Half the width of the pad, m.
    pad_half_width: float = constant(5.0, low=0.0)
    #: Maximum vertical and horizontal speed of a landing, m/s, tilt, rad, and tilt rate, rad/s: about the first three
    #: that the legs of Apollo's lunar module were made for (7 ft/s, 4 ft/s, 6 degrees; Rogers 1972, NASA TN D-6850).
    landing_descent: float = constant(2.1, low=0.0)
    landing_drift: float = constant(1.2, low=0.0)
    landing_tilt: float = constant(0.105, low=0.0)
    landing_tilt_rate: float = constant(0.1, low=0.0)
    #: Beyond this |x| and this height, m, and this |tilt|, rad, the rocket is lost.
    arena_width: float = constant(150.0, above=0.0)
    arena_height: float = constant(200.0, above=0.0)
    tilt_limit: float = constant(1.5, above=0.0)
    #: Cost of each m/s of speed change by fuel; reward of landing; cost of crashing or getting lost.
    fuel_cost: float = constant(0.2, low=0.0)
    landing_bonus: float = constant(100.0, low=0.0)
    crash_penalty: float = constant(100.0, low=0.0)
    #: The reference descent's deceleration, m/s**2, and its speed at the pad, m/s.
    reference_braking: float = constant(1.0, above=0.0)
    reference_touchdown: float = constant(1.0, above=0.0)
    #: Assumed speed change per rad of tilt, m/s, and the time over which the tilt rate is extrapolated, s.
    tilt_cost: float = constant(20.0, low=0.0)
    tilt_preview: float = constant(1.0, low=0.0)
    #: Starts: maximum |x|, m; range of heights, m; maximum |horizontal velocity| and range of descents, m/s; maximum
    #: |tilt|, rad, and |tilt rate|, rad/s.
    start_offset: float = constant(40.0, low=0.0)
    start_height_low: float = constant(80.0, low=0.0)
    start_height_high: float = constant(120.0, low=0.0)
    start_drift: float = constant(5.0, low=0.0)
    start_descent_low: float = constant(5.0, low=0.0)
    start_descent_high: float = constant(15.0, low=0.0)
    start_tilt: float = constant(0.2, low=0.0)
    start_tilt_rate: float = constant(0.1, low=0.0)

    @property
    def observation_space(self):
        high = np.array([np.inf] * 6 + [1.0, np.inf, 1.0], np.float32)
        low = np.array([-np.inf] * 6 + [0.0, -np.inf, -1.0], np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (7, *shape)))

    def start(self, draws):
        zero = jnp.zeros_like(draws.x)
        state = State(
            x=between(-self.start_offset, self.start_offset, draws.x),
            height=between(self.start_height_low, self.start_height_high, draws.height),
            velocity_x=between(-self.start_drift, self.start_drift, draws.velocity_x),
            velocity_y=-between(self.start_descent_low, self.start_descent_high, draws.velocity_y),
            tilt=between(-self.start_tilt, self.start_tilt, draws.tilt),
            tilt_rate=between(-self.start_tilt_rate, self.start_tilt_rate, draws.tilt_rate),
            fuel=zero + self.start_fuel,
            wind=self.wind + between(-self.wind_spread, self.wind_spread, draws.wind),
            thrust=zero,
            gimbal=zero,
            outcome=jnp.full_like(zero, FLYING, jnp.int32),
        )
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        thrust, gimbal = engine(self, state, action)
        flown = fly(self, state._replace(thrust=thrust, gimbal=gimbal))
        outcome = judge(self, flown)
        after = flown._replace(height=jnp.maximum(flown.height, 0.0), outcome=outcome)
        burnt = thrust * self.dt / self.exhaust_velocity
        paid = -self.exhaust_velocity * jnp.log1p(-burnt / (self.dry_mass + state.fuel))
        landed, failed = outcome == LANDED, outcome > LANDED
        ending = jnp.where(landed, self.landing_bonus, 0.0) - jnp.where(failed, self.crash_penalty, 0.0)
        reward = to_go(self, state) - to_go(self, after) - self.fuel_cost * paid + ending
        return after, Step(self.observe(after), reward, landed | failed)

    def observe(self, state):
        landed, failed = state.outcome == LANDED, state.outcome > LANDED
        ended = landed.astype(jnp.float32) - failed.astype(jnp.float32)
        position = state.x / 50, state.height / 100, state.velocity_x / 10, state.velocity_y / 10
        attitude = state.tilt / 0.5, state.tilt_rate / 0.5
        return jnp.stack([*position, *attitude, state.fuel / self.start_fuel, state.wind / 10, ended], axis=-1)

    def render(self, state):
        from jaxenvs.render import rocket_landing

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        shown = "start_fuel", "thrust_high", "pad_half_width", "landing_descent", "landing_drift", "landing_tilt"
        return rocket_landing.picture(**numbers, **{name: np.asarray(getattr(self, name)).item() for name in shown})


def between(low, high, uniform):
    return low + (high - low) * uniform


def engine(env, state, action):
    """(thrust, gimbal) that an action asks for, within the limits and the fuel; N and rad."""
    throttle = (jnp.clip(action[0], -1.0, 1.0) + 1) / 2
    wanted = between(env.thrust_low, env.thrust_high, throttle)
    thrust = jnp.minimum(wanted, state.fuel * (env.exhaust_velocity / env.dt))
    return thrust, env.gimbal_limit * jnp.clip(action[1], -1.0, 1.0)


def fly(env, state):
    """The rocket `dt` later, by the midpoint rule, with constant thrust and gimbal."""
    middle = advance(env, state, state, env.dt / 2)
    return advance(env, state, middle, env.dt)


def advance(env, state, at, seconds):
    """The state a number of seconds later, with the rates of another state."""
    push_x, push_y, turn = accelerations(env, at)
    burnt = state.thrust * seconds / env.exhaust_velocity
    return state._replace(
        x=state.x + seconds * at.velocity_x,
        height=state.height + seconds * at.velocity_y,
        velocity_x=state.velocity_x + seconds * push_x,
        velocity_y=state.velocity_y + seconds * push_y,
        tilt=state.tilt + seconds * at.tilt_rate,
        tilt_rate=state.tilt_rate + seconds * turn,
        fuel=jnp.maximum(state.fuel - burnt, 0.0),
    )


def accelerations(env, state):
    """(horizontal, vertical, angular) acceleration, m/s**2 and rad/s**2."""
    mass = env.dry_mass + state.fuel
    sine, cosine = sin_cos(state.tilt - state.gimbal)
    push = state.thrust / mass
    through_x, through_y = state.velocity_x - state.wind, state.velocity_y
    drag = 0.5 * env.air_density * env.drag_area / mass * length(through_x, through_y)
    turn = push * env.engine_arm * sin_cos(state.gimbal)[0] / env.gyration_radius**2
    return (
        push * sine - drag * through_x,
        push * cosine - drag * through_y - env.gravity,
        turn,
    )


def length(x, y):
    # A millionth is added so that the gradient exists at 0.
    return jnp.sqrt(x * x + y * y + 1e-12)


def judge(env, state):
    """i32[...], how it ended; below the ground the feet have touched it."""
    touched = state.height <= 0
    soft = (-state.velocity_y <= env.landing_descent) & (jnp.abs(state.velocity_x) <= env.landing_drift)
    upright = (jnp.abs(state.tilt) <= env.landing_tilt) & (jnp.abs(state.tilt_rate) <= env.landing_tilt_rate)
    landed = soft & upright & (jnp.abs(state.x) <= env.pad_half_width)
    outside = (jnp.abs(state.x) > env.arena_width) | (state.height > env.arena_height)
    lost = outside | (jnp.abs(state.tilt) > env.tilt_limit)
    ended = jnp.where(touched, jnp.where(landed, LANDED, CRASHED), jnp.where(lost, LOST, FLYING))
    return ended.astype(jnp.int32)


def to_go(env, state):
    """The speed change that a landing is estimated to still need, m/s.

    The reference descent heads for a point somewhat below the pad, slows down at `reference_braking`, and passes the
    pad at `reference_touchdown`. Needed are: the correction from the present velocity to the reference's, what gravity
    takes during the time that the reference takes, and what the steering back to upright costs.
    """
    depth = state.height + env.reference_touchdown**2 / (2 * env.reference_braking)
    distance = length(state.x, depth)
    speed = jnp.sqrt(2 * env.reference_braking * distance)
    share = speed / distance
    correction = length(state.velocity_x + share * state.x, state.velocity_y + share * depth)
    gravity_loss = env.gravity * speed / env.reference_braking
    steering = env.tilt_cost * length(state.tilt, env.tilt_preview * state.tilt_rate)
    return correction + gravity_loss + steering
