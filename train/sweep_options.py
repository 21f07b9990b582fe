"""The options of `jaxenvs sweep`."""

from .options import Formatter, Raw, add_hyperparameters, add_set, add_tracker, epilog, integer
from .presets import ALGORITHMS


def add_sweep(subparsers, program, command):
    """Adds the command to a parser's commands.

    Args:
        subparsers: of `add_subparsers`.
        program: what the person called, for the examples.
        command: what it runs, a function of the options.
    """
    text = "try many settings of an algorithm, each with several seeds, and find the best one"
    rates = '--space "learning_rate=loguniform(1e-5,1e-2)"'
    examples = (
        f"{program} sweep ppo --env CartPole-v1 {rates} --trials 256 --seeds 4",
        f'{program} sweep ppo --env CartPole-v0 {rates} --space "hidden=grid(32,64)" --metric steps-to:195',
        f"{program} sweep ppo --env Acrobot-v1 {rates} --search asha --trials 256",
        f"{program} sweep ppo --env Acrobot-v1 {rates} --search pbt --trials 16",
    )
    parser = subparsers.add_parser("sweep", help=text, epilog=epilog(*examples), formatter_class=Raw)
    algorithms = parser.add_subparsers(title="algorithms", required=True, metavar="ALGORITHM")
    for name, algorithm in ALGORITHMS.items():
        one = algorithms.add_parser(
            name, help=(algorithm.__doc__ or name).splitlines()[0], epilog=epilog(*examples), formatter_class=Formatter
        )
        one.set_defaults(command=command, algorithm=name)
        _add_options(one)
        add_hyperparameters(one, algorithm)


def _add_options(command):
    command.add_argument(
        "--env", required=True, metavar="ID", help="a registered id, such as HeartPole-v0, or my_env.py:MyEnv"
    )
    command.add_argument(
        "--space", action="append", default=[], metavar="NAME=DISTRIBUTION",
        help="a parameter and its values: choice(a, b), grid(a, b), uniform(low, high), loguniform(low, high) or "
        "integer(low, high); NAME is a hyperparameter, env.NAME a constant of the environment, training.NAME a "
        "constant that changes only in training; may be repeated",
    )  # fmt: skip
    command.add_argument("--trials", type=integer, help="number of settings (default: 64, or all of a grid)")
    command.add_argument("--seeds", type=integer, default=4, help="number of runs for each setting")
    command.add_argument(
        "--search", default="random",
        help="random, sobol (quasi-random), grid, asha (successive halving: at each rung the worst trials stop, and "
        "new ones use their lanes), pbt (population-based training: the worst trials copy the best, and change "
        "their values), or optuna (the library chooses settings, using the scores of earlier ones)",
    )  # fmt: skip
    command.add_argument("--eta", type=integer, help="for asha: one of ETA trials continues at each rung [2]")
    command.add_argument("--rungs", type=integer, help="for asha: number of rungs, where trials are compared [4]")
    command.add_argument(
        "--quantile", type=float, help="for pbt: fraction of the trials that is replaced at an evaluation [0.25]"
    )
    command.add_argument(
        "--resample", type=float, help="for pbt: probability that a copied value is sampled again [0.25]"
    )
    command.add_argument(
        "--storage", metavar="URL",
        help="database for --search optuna, such as postgresql://host/name (default: a file in the sweep's folder)",
    )  # fmt: skip
    command.add_argument(
        "--study", metavar="NAME", help="name of the study in that database; sweeps with the same name share the study"
    )
    command.add_argument(
        "--metric", default="final",
        help="metric of the ranking: the return of the last evaluation (final), of all evaluations (mean), or the "
        "steps to a return (steps-to:195)",
    )  # fmt: skip
    command.add_argument(
        "--evaluations", type=integer, help="number of evaluations of each run (default: 10; asha has its own)"
    )
    command.add_argument("--episodes", type=integer, default=128, help="full episodes of each evaluation")
    command.add_argument(
        "--confirm", type=integer, default=8, help="runs of the best setting with fresh seeds; 0 for none"
    )
    command.add_argument("--top", type=integer, default=3, metavar="K", help="write the K best settings as presets")
    command.add_argument(
        "--chunk", type=integer, metavar="N",
        help="number of runs trained together (default: as many as fit into half of the memory, at most 64 on a CPU)",
    )  # fmt: skip
    command.add_argument(
        "--preset", metavar="NAME", help="preset of the values that are not in the space, as for train"
    )
    command.add_argument("--total-steps", type=integer, help="environment steps of each run (default: the preset's)")
    command.add_argument("--seed", type=int, default=0, help="seed of all random numbers, at least 0")
    command.add_argument(
        "--keys", choices=("ordinary", "fast"), default="ordinary",
        help="the random number generator: JAX's own, or jaxenvs.random.fast",
    )  # fmt: skip
    command.add_argument("--out", help="the sweep's folder (default: the first free sweeps/ENV-ALGORITHM-N)")
    add_set(command)
    command.add_argument(
        "--devices", type=integer, help="number of devices that share the runs (default: all processor cores)"
    )
    add_tracker(command)
    command.add_argument("--quiet", action="store_true", help="do not show the progress")
