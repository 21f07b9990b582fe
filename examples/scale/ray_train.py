"""A run over the workers of Ray Train: python examples/scale/ray_train.py --workers 4 --out /shared/runs/landing

Needs `pip install "ray[train]" "jaxenvs[train]"` on every machine, and a folder that all of them have.
"""

import argparse


def work(config):
    """What each worker does; Ray has joined the processes before."""
    from pathlib import Path

    from jaxenvs.train.__main__ import main

    if (Path(config["out"]) / "config.json").exists():
        arguments = ["resume", config["out"]]
    else:
        arguments = ["ppo", "--env", config["env"], "--out", config["out"], *config["options"]]
    if status := main([*arguments, "--distributed"]):
        raise SystemExit(status)


def trainer(options):
    """The `JaxTrainer` of a command line."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.jax import JaxTrainer

    return JaxTrainer(
        work,
        train_loop_config={"out": options.out, "env": options.env, "options": options.options},
        scaling_config=ScalingConfig(
            num_workers=options.workers,
            use_gpu=options.gpus > 0,
            resources_per_worker={"CPU": options.cpus, **({"GPU": options.gpus} if options.gpus else {})},
        ),
        run_config=RunConfig(
            # A worker that is lost ends the others, and all of them resume the run.
            failure_config=FailureConfig(max_failures=10),
            worker_runtime_env={"env_vars": {"JAX_PLATFORMS": "cuda" if options.gpus else "cpu"}},
        ),
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--gpus", type=int, default=0, help="of each worker")
    parser.add_argument("--cpus", type=int, default=1, help="of each worker")
    parser.add_argument("--env", default="RocketLanding-v0")
    parser.add_argument("--out", required=True, help="the run's folder, an absolute path that all machines have")
    parser.add_argument("options", nargs="*", help="more options of `jaxenvs train ppo`, after --")
    return trainer(parser.parse_args(arguments)).fit()


if __name__ == "__main__":
    main()
