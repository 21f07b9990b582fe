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
    text = "try many settings of an algorithm, each with several seeds, and name the best"
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
    command.add_argument("--env", required=True, help="a registered id, such as HeartPole-v0, or my_env.py:MyEnv")
    command.add_argument(
        "--space", action="append", default=[], metavar="NAME=DISTRIBUTION",
        help="a parameter and its values: choice(a, b), grid(a, b), uniform(low, high), loguniform(low, high) or "
        "integer(low, high); NAME is a hyperparameter, env.NAME a constant of the environment, training.NAME one that "
        "differs while training only; may be repeated",
    )  # fmt: skip
    command.add_argument("--trials", type=integer, help="settings to try (default: 64, or all of a grid)")
    command.add_argument("--seeds", type=integer, default=4, help="runs of each setting")
    command.add_argument(
        "--search", default="random",
        help="random, sobol (quasi-random), grid, asha (successive halving: at each rung the worst trials stop, and "
        "new ones take their lanes), pbt (population-based training: the worst trials copy the best, and change "
        "their values), or optuna (the library chooses settings, from what others have reached)",
    )  # fmt: skip
    command.add_argument("--eta", type=integer, help="of asha: one of ETA trials continues at each rung [2]")
    command.add_argument("--rungs", type=integer, help="of asha: how often a trial is judged before its end [4]")
    command.add_argument(
        "--quantile", type=float, help="of pbt: the part of the trials that is replaced at an evaluation [0.25]"
    )
    command.add_argument(
        "--resample", type=float, help="of pbt: the probability that a copied value is sampled again [0.25]"
    )
    command.add_argument(
        "--storage", metavar="URL",
        help="the database of --search optuna, such as postgresql://host/name (default: a file in the sweep's folder)",
    )  # fmt: skip
    command.add_argument(
        "--study", metavar="NAME", help="the study's name in that database; sweeps that name the same one share it"
    )
    command.add_argument(
        "--metric", default="final",
        help="what ranks: the return of the last evaluation (final), of all (mean), or the steps to a return "
        "(steps-to:195)",
    )  # fmt: skip
    command.add_argument("--evaluations", type=integer, help="along each run, evenly (default: 10; asha has its own)")
    command.add_argument("--episodes", type=integer, default=128, help="full episodes of each evaluation")
    command.add_argument("--confirm", type=integer, default=8, help="fresh runs of the best setting, 0 for none")
    command.add_argument("--top", type=integer, default=3, metavar="K", help="write the K best settings as presets")
    command.add_argument(
        "--chunk", type=integer, metavar="N",
        help="runs trained together (default: what fits into half of the memory, at most 64 on a CPU)",
    )  # fmt: skip
    command.add_argument("--preset", metavar="NAME", help="as for train: the values that the space does not decide")
    command.add_argument("--total-steps", type=integer, help="environment steps of each run (default: the preset's)")
    command.add_argument("--seed", type=int, default=0, help="of everything random, at least 0")
    command.add_argument(
        "--keys", choices=("ordinary", "fast"), default="ordinary",
        help="the random numbers: JAX's own, or those of jaxenvs.random.fast",
    )  # fmt: skip
    command.add_argument("--out", help="the sweep's folder (default: the first free sweeps/ENV-ALGORITHM-N)")
    add_set(command)
    command.add_argument("--devices", type=integer, help="how many share the runs (default: all processor cores)")
    add_tracker(command)
    command.add_argument("--quiet", action="store_true", help="no progress")
