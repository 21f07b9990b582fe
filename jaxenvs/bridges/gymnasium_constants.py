"""The constants of an environment as attributes of its Gymnasium bridge."""

import dataclasses

# Gymnasium's own attributes, by the class here that has the same physics, and the constant that each is.
_NAMES = {
    "CartPole": {
        "masscart": "cart_mass", "masspole": "pole_mass", "length": "half_length", "force_mag": "force", "tau": "dt",
        "theta_threshold_radians": "angle_limit", "x_threshold": "position_limit", "total_mass": "cart_mass",
        "polemass_length": "pole_mass", "kinematics_integrator": "semi_implicit",
    },
    "Pendulum": {"g": "gravity", "m": "mass", "l": "length"},
    "Acrobot": {
        "LINK_LENGTH_1": "link_length_1", "LINK_LENGTH_2": "link_length_2", "LINK_MASS_1": "link_mass_1",
        "LINK_MASS_2": "link_mass_2", "LINK_COM_POS_1": "link_center_1", "LINK_COM_POS_2": "link_center_2",
        "LINK_MOI": "link_inertia", "MAX_VEL_1": "max_velocity_1", "MAX_VEL_2": "max_velocity_2",
        "AVAIL_TORQUE": "torque", "torque_noise_max": "torque_noise", "book_or_nips": "nips_equations",
    },
    "MountainCarContinuous": {"min_action": "min_force", "max_action": "max_force"},
}  # fmt: skip


class ConstantAttributes:
    """Constants that are read and written as attributes, checked as at construction.

    A subclass has `_constants_of()`, the `Environment`, or None while it is made, and `_put_constants(**constants)`.
    """

    def __getattr__(self, name):
        env = self._constants_of()
        if env is not None and name in constant_names(env):
            return getattr(env, name)
        if env is not None and (meant := meant_by(env, name)):
            raise AttributeError(_hint(env, name, meant))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name, value):
        env = None if name.startswith("_") else self._constants_of()
        if env is None or hasattr(type(self), name):
            super().__setattr__(name, value)
        elif name in constant_names(env):
            self._put_constants(**{name: value})
        else:
            refuse_meant(env, name)
            super().__setattr__(name, value)


def constant_names(env):
    return [field.name for field in dataclasses.fields(env)]


def meant_by(env, name):
    """The constant that has Gymnasium's name; None for any other name."""
    for owner in type(env).__mro__:
        if name in _NAMES.get(owner.__name__, {}):
            return _NAMES[owner.__name__][name]
    return None


def refuse_meant(env, name):
    """An AttributeError that says what Gymnasium's name is here, where it is one."""
    if meant := meant_by(env, name):
        raise AttributeError(_hint(env, name, meant))


def _hint(env, name, meant):
    return (
        f"{type(env).__name__} has no constant {name!r}: Gymnasium's {name} is set by {meant} here, "
        f"in gymnasium.make(id, {meant}=...) or as an attribute"
    )
