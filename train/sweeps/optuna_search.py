"""`--search optuna`: Optuna suggests the settings, a batch after the other, and is told what each reached."""

import contextlib
import dataclasses
import warnings
from pathlib import Path

import numpy as np

from ..runs.plan import RunError
from .elsewhere import check_installed, optuna_space, plain, setting_of
from .members import chunk_path, read_curves
from .metrics import metric_of
from .statistics import score_of
from .stored import write_sweep
from .trainer import train_chunks

#: The file of a sweep's folder that keeps the study, unless --storage names another place.
STORAGE = "optuna.db"


def search(sweep, folder, trainer, progress):
    """Trains batch after batch, each chunk that is not on the disk; `sweep.json` gets the settings.

    Args:
        sweep: `SweepPlan` of this search.
        folder: the sweep's.
        trainer: `Trainer`.
        progress: `Progress`.
    Raises:
        RunError: as `grown`.
    """
    finished = 0
    for larger in grown(sweep, folder):
        progress.grow(larger)
        chunks = larger.chunks()
        train_chunks(larger, folder, chunks[finished:], trainer, progress)
        finished = len(chunks)


def grown(sweep, folder):
    """The plan with its settings so far, and again with each further batch of settings.

    A batch is asked for once the caller has trained all members of the plan before. Of a sweep that was killed, trials
    that Optuna has as running are trained, and told, as if nothing had happened.

    Args:
        sweep: `SweepPlan` of this search.
        folder: the sweep's.
    Yields:
        `SweepPlan`; its chunks begin with those of the one before.
    Raises:
        RunError: if Optuna is not installed, or the storage cannot be used.
    """
    study = Study(sweep, folder)
    while True:
        if sweep.settings:
            yield sweep
            study.tell(sweep, folder)
        if len(sweep.settings) >= sweep.num_trials:
            return
        sweep = dataclasses.replace(sweep, settings=[*sweep.settings, *study.ask(sweep)])
        write_sweep(sweep, folder)


class Study:
    """An Optuna study, and which of its trials are those of a sweep: others may share the study.

    Args:
        sweep: `SweepPlan`.
        folder: the sweep's.
    Raises:
        RunError: as `grown`.
    """

    def __init__(self, sweep, folder):
        try:
            check_installed("optuna", "--search optuna")
        except ImportError as error:
            raise RunError(str(error)) from error
        import optuna  # pyright: ignore[reportMissingImports]

        self._optuna, self._mark, self._seed = optuna, sweep.asker, sweep.runs.seed
        self._where = sweep.storage or f"sqlite:///{Path(folder).resolve() / STORAGE}"
        with self._explained():
            self._study = optuna.create_study(
                storage=self._where, study_name=sweep.study, load_if_exists=True,
                direction="minimize" if metric_of(sweep.metric).lowest else "maximize",
            )  # fmt: skip
            if sweep.storage is None:
                self._fail_unmarked()

    def ask(self, sweep):
        """The next settings, a batch of them or what is left of the trials; a list of dicts."""
        first = len(sweep.settings)
        with self._explained():
            ours, space = self._ours(), optuna_space(sweep.space)
            asked = [
                ours[number].params if number in ours else self._ask(space, number)
                for number in range(first, min(first + sweep.batch, sweep.num_trials))
            ]
        return [setting_of(sweep.space, values) for values in asked]

    def tell(self, sweep, folder):
        """Tells the scores of all trials that Optuna waits for, or has lost.

        A setting of which a seed diverged ranks below all others, so Optuna has it as pruned, without a value.
        """
        TrialState = self._optuna.trial.TrialState
        with self._explained():
            ours = self._ours()
            waiting = {
                number for number in range(len(sweep.settings))
                if number not in ours or not ours[number].state.is_finished()
            }  # fmt: skip
            for number, score in _scores(sweep, folder, waiting):
                told = {"state": TrialState.PRUNED} if score.diverged else {"value": score.score}
                if number in ours:
                    value = told.pop("value", None)
                    self._study.tell(ours[number].number, value, **told)
                else:
                    self._add(sweep, number, told)

    def _add(self, sweep, number, told):
        """Adds a trial that the storage has lost, such as all of a file that somebody has removed."""
        params = {name: plain(value) for name, value in sweep.settings[number].items()}
        trial = self._optuna.trial.create_trial(
            **told, params=params, distributions=optuna_space(sweep.space), user_attrs=self._attributes(number)
        )
        self._study.add_trial(trial)

    def _ask(self, space, number):
        # A sampler's random numbers start again in each process: each trial has a seed of its own.
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        # A batch is asked for before any of it is told: running trials keep the next away from them.
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        trial = self._study.ask(space)
        for name, value in self._attributes(number).items():
            trial.set_user_attr(name, value)
        return trial.params

    def _attributes(self, number):
        return {"sweep": self._mark, "trial": number}

    def _ours(self):
        """dict of our number to Optuna's trial."""
        trials = self._study.get_trials(deepcopy=False)
        mine = [one for one in trials if one.user_attrs.get("sweep") == self._mark and "trial" in one.user_attrs]
        return {one.user_attrs["trial"]: one for one in mine}

    def _fail_unmarked(self):
        """Marks trials as failed that a process has asked for, and was killed before they were a sweep's."""
        for one in self._study.get_trials(deepcopy=False):
            if not one.state.is_finished() and "trial" not in one.user_attrs:
                self._study.tell(one.number, state=self._optuna.trial.TrialState.FAIL)

    @contextlib.contextmanager
    def _explained(self):
        """Says in a sentence what Optuna or its database refuses; shows none of their notes."""
        logging = self._optuna.logging
        before = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                yield
        except RunError:  # of a chunk's file
            raise
        except Exception as error:  # SQLAlchemy, its drivers and Optuna have dozens
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise RunError(f"Optuna's storage {_without_password(self._where)} cannot be used: {reason}") from error
        finally:
            logging.set_verbosity(before)


def _scores(sweep, folder, trials):
    """(trial, Score) of some trials whose members are trained, in order."""
    values, diverged = {}, {}
    for chunk in sweep.chunks():
        numbers = [sweep.trial_of(member) for member in chunk.members]
        if trials.isdisjoint(numbers):
            continue
        curves = read_curves(chunk_path(folder, chunk.number))
        found = metric_of(sweep.metric).of(curves.steps, curves.returns)
        for number, value, finite in zip(numbers, found, curves.finite):
            values.setdefault(number, []).append(value)
            diverged.setdefault(number, []).append(not finite)
    return [(number, score_of(values[number], diverged[number], seed=number)) for number in sorted(trials)]


def _without_password(url):
    head, colon, rest = url.partition("://")
    return f"{head}{colon}{rest.rpartition('@')[2]}"
