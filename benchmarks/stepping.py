"""How many steps a second a random policy makes, autoreset and statistics included.

    python -m benchmarks.stepping                       # every id, N = 16384, one device a core
    python -m benchmarks.stepping --ids HeartPole-v0 --sizes 1024 16384 --devices 1
    python -m benchmarks.stepping --ids CartPole-v1 --sizes 65536 --peers --name stepping_peers

Actions are drawn on the device from ordinary JAX keys; each step draws, moves, resets what ended and keeps the
statistics of episodes. A run is one `jaxenvs.rollout`; its compilation is timed apart. `--peers` adds CartPole as
Gymnasium steps it in NumPy, and as gymnax does where that is installed (`make interop-gymnax` installs it apart).
"""

import argparse
import os

import jax

import jaxenvs
from benchmarks.common import save, spread, timed
from benchmarks.peers.stepping import gymnasium_cartpole, gymnax_cartpole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--sizes", nargs="+", type=int, default=[16384])
    parser.add_argument(
        "--devices", type=int, default=os.cpu_count(), help="host devices, where there is no accelerator"
    )
    parser.add_argument("--steps", type=int, default=10_000_000, help="environment steps of a run, roughly")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--name", default="stepping", help="of the file in benchmarks/results/")
    parser.add_argument("--peers", action="store_true", help="CartPole by Gymnasium and gymnax, too")
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", options.devices)
    rows = [measure(id, size, options.steps, options.runs) for id in options.ids for size in options.sizes]
    if options.peers:
        rows += [row for size in options.sizes for row in measure_peers(size, options.steps, options.runs) if row]
    save(options.name, rows)


def measure(id, num_envs, steps, runs):
    """A row of figures for one environment and batch size."""
    envs = jaxenvs.make_vec(id, num_envs)
    num_steps = max(1, steps // num_envs)

    @jax.jit
    def run(key, state, obs):
        def policy(key, obs):
            return envs.sample_actions(key)

        return jaxenvs.rollout(envs, policy, key, state, obs, num_steps, collect=lambda *_: None)[:2]

    state, obs = over_devices(envs.reset(jax.random.key(0)))
    first, seconds = timed(run, jax.random.key(1), state, obs, runs=runs)
    rates = spread([num_envs * num_steps / s for s in seconds])
    print(
        f"{id:24} N={num_envs:7} devices={jax.device_count()}  {rates['median'] / 1e6:8.1f}M steps/s "
        f"({rates['min'] / 1e6:.1f} to {rates['max'] / 1e6:.1f})  first call {first:.2f} s"
    )
    return {"id": id, "num_envs": num_envs, "num_steps": num_steps, "first_call_s": first, "steps_per_second": rates}


def measure_peers(num_envs, steps, runs):
    """Rows for those peers that are installed."""
    rows = [gymnasium_cartpole(num_envs, steps, runs), gymnax_cartpole(num_envs, steps, runs, over_devices)]
    for row in filter(None, rows):
        rates = row["steps_per_second"]
        print(f"{row['id']:32} N={num_envs:7}  {rates['median'] / 1e6:8.1f}M steps/s")
    return rows


def over_devices(tree):
    """Splits the batch axis of every array over all devices; the environments in a batch are independent."""
    axis = jax.sharding.AxisType.Auto
    mesh = jax.make_mesh((jax.device_count(),), ("envs",), axis_types=(axis,))
    return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("envs")))


if __name__ == "__main__":
    main()
