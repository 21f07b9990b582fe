"""A sweep that takes a moment: its runs, its space, and what they mean. FiveChoices-v0 pays for the first choice."""

from train import ppo
from train.runs.plan import Plan
from train.sweeps.distributions import grid, uniform

RUNS = Plan(
    algorithm="ppo", env="FiveChoices-v0", constants={}, training={}, curve_as_trained=False,
    config=ppo.Config(num_envs=4, num_steps=8, segment=4, epochs=1, minibatches=2, hidden=(4,)),
    total_steps=128, seed=5,
)  # fmt: skip
# With steps of 1e30 the values' loss is not finite any more. The greedy policy of equal logits takes the first choice
# and earns the payment, so that it ranks.
SPACE = {"learning_rate": grid(1e-3, 1e30), "env.payment": uniform(2.0, 3.0)}
