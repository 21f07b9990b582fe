"""The gradient of a return through a rocket's physics, and thrusts that follow it uphill.

python examples/rocket_gradient.py --iterations 200
"""

import argparse

import jax
import jax.numpy as jnp

import jaxenvs


@jax.jit
def distance(env, thrusts):
    """How far from rest at the origin the rocket is after these thrusts, the mean over the flight; and its end."""
    state, _ = env.start_at(1.0, 0.0)

    def step(state, thrust):
        state, _ = env.transition(state, thrust, ())
        return state, state.position**2 + 0.1 * state.velocity**2

    state, costs = jax.lax.scan(step, state, jnp.tanh(thrusts)[:, None])
    return costs.mean(), state


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args(arguments)

    env, thrusts = jaxenvs.SimpleRocket(), jnp.zeros(options.steps)
    slope = jax.jit(jax.value_and_grad(lambda thrusts: distance(env, thrusts)[0]))
    costs = []
    for _ in range(options.iterations):
        cost, gradient = slope(thrusts)
        costs.append(float(cost))
        thrusts -= 0.1 * gradient / jnp.maximum(jnp.abs(gradient).max(), 1e-8)
    state = distance(env, thrusts)[1]
    print(f"cost {costs[0]:.3f} to {costs[-1]:.3f}; at the end {float(state.position):.3f} from the origin")
    return costs


if __name__ == "__main__":
    main()
