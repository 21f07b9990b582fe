"""Runs a step's `Program` many times: as one Pallas kernel a block of environments, or as one scan in XLA."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxenvs.fused.elements import Lanes, filled, shape_of, spread
from jaxenvs.fused.scalars import run


def run_scan(stages, fixed, stepped, carried, own, num_steps):
    """All steps in one `lax.scan` over vectors of one number of all environments each.

    Args:
        stages: `Stages`.
        fixed, stepped: as `shared_values` returns them.
        carried, own: arrays of those variables.
    Returns:
        The carried arrays after the last step.
    """
    size = carried[0].shape[stages.carried[0].batch]
    lanes = Lanes(size, functools.partial(_places, 0, size), triton=False)
    constant = _shared(stages.fixed, fixed) | _columns(stages.own, own)

    def advance(columns, rows):
        return _advanced(stages, lanes, constant | _shared(stages.stepped, rows), columns), None

    columns = [list(array.reshape(-1)) for array in _columns(stages.carried, carried).values()]
    columns, _ = lax.scan(advance, columns, stepped, length=num_steps)
    return [_joined(variable, parts) for variable, parts in zip(stages.carried, columns, strict=True)]


def _places(first, size, dtype):
    return jnp.asarray(first + lax.iota(jnp.int32, size), dtype)


def _advanced(stages, lanes, values, columns):
    """One step: the new columns, as the old ones are given."""
    arrays = {v: filled(shape_of(v), items) for v, items in zip(stages.carried, columns, strict=True)}
    after = run(stages.lanes, values | arrays, lanes)
    return [
        [jnp.asarray(spread(item, (lanes.size,)), variable.aval.dtype) for item in array.reshape(-1)]
        for variable, array in zip(stages.carried, after, strict=True)
    ]


def _shared(variables, arrays):
    """Arrays of objects of values without a batch axis."""
    flat = ((v, jnp.reshape(x, -1)) for v, x in zip(variables, arrays, strict=True))
    return {v: filled(v.aval.shape, (x[i] for i in range(x.size))) for v, x in flat}


def _columns(variables, arrays):
    """Arrays of objects, whose elements are the vectors of the batch."""
    flat = {
        v: jnp.moveaxis(x, v.batch, -1).reshape(-1, x.shape[v.batch]) for v, x in zip(variables, arrays, strict=True)
    }
    return {v: filled(shape_of(v), (x[i] for i in range(len(x)))) for v, x in flat.items()}


def _joined(variable, columns):
    shape = [size for axis, size in enumerate(variable.aval.shape) if axis != variable.batch]
    return jnp.moveaxis(jnp.stack(columns).reshape(*shape, -1), -1, variable.batch)


def run_pallas(stages, fixed, stepped, carried, own, num_steps, *, block, interpret):
    """All steps in one Pallas kernel, which keeps the state of `block` environments in registers.

    Arguments and results are those of `run_scan`.
    """
    from jax.experimental import pallas as pl

    num_envs = carried[0].shape[stages.carried[0].batch]
    num_blocks = -(-num_envs // block)
    changing, columns = _flat(stages.carried, carried), _flat(stages.own, own)
    columns = [*changing, *columns]
    dtypes = [column.dtype for column in columns]
    columns = [_held(jnp.pad(column, (0, num_blocks * block - num_envs), mode="edge")) for column in columns]
    tables = _tables(fixed, 0) | _tables(stepped, 1)
    row = pl.BlockSpec((block,), lambda place: (place,))
    whole = [pl.BlockSpec(table.shape, lambda _, n=table.ndim: (0,) * n) for table in tables.values()]
    made = pl.pallas_call(
        _kernel(stages, dtypes, list(tables), num_steps, block),
        grid=(num_blocks,),
        in_specs=[row] * len(columns) + whole,
        out_specs=[row] * len(changing),
        out_shape=[jax.ShapeDtypeStruct(column.shape, column.dtype) for column in columns[: len(changing)]],
        interpret=interpret,
        name="fused_rollout",
        compiler_params=None if interpret else _compiler_params(block),
    )(*columns, *tables.values())
    groups = _grouped(stages.carried, [_taken(column[:num_envs], dtype) for column, dtype in zip(made, dtypes)])
    return [_joined(variable, group) for variable, group in zip(stages.carried, groups, strict=True)]


def _kernel(stages, dtypes, names, num_steps, block):
    """The function of one program of the kernel: references of columns and tables in, of changed columns out.

    Args:
        stages: `Stages`.
        dtypes: of the columns, as the program has them.
        names: of the tables, as `_tables` gives them.
    """
    from jax.experimental import pallas as pl

    def kernel(*refs):
        column_refs, tables = refs[: len(dtypes)], dict(zip(names, refs[len(dtypes) :]))
        output_refs = refs[len(dtypes) + len(names) :]
        lanes = Lanes(block, functools.partial(_places, pl.program_id(0) * block, block), triton=True)
        loaded = [_taken(ref[...], dtype) for ref, dtype in zip(column_refs, dtypes, strict=True)]
        changing, own = loaded[: len(output_refs)], loaded[len(output_refs) :]
        constant = _arranged(stages.own, own)
        constant |= _read(stages.fixed, lambda dtype, place: tables[dtype, 0][place])

        def advance(number, state):
            now = _read(stages.stepped, lambda dtype, place: tables[dtype, 1][number, place])
            after = _advanced(stages, lanes, constant | now, _grouped(stages.carried, state))
            return tuple(item for items in after for item in items)

        for ref, item in zip(output_refs, lax.fori_loop(0, num_steps, advance, tuple(changing)), strict=True):
            ref[...] = _held(item)

    return kernel


def _compiler_params(block):
    from jax.experimental.pallas import triton

    return triton.CompilerParams(num_warps=min(8, max(1, block // 32)), num_stages=1)


def _flat(variables, arrays):
    return [item for array in _columns(variables, arrays).values() for item in array.reshape(-1)]


def _grouped(variables, items):
    """A flat sequence in lists, one a variable."""
    items = iter(items)
    return [[next(items) for _ in range(math.prod(shape_of(variable)))] for variable in variables]


def _arranged(variables, items):
    groups = zip(variables, _grouped(variables, items), strict=True)
    return {variable: filled(shape_of(variable), group) for variable, group in groups}


def _table_dtype(dtype):
    return np.dtype(np.int32) if np.dtype(dtype).itemsize < 4 and np.dtype(dtype).kind in "bui" else np.dtype(dtype)


def _held(x):
    """As a kernel loads and stores it: in words of 32 bits."""
    return jnp.asarray(x, _table_dtype(x.dtype))


def _taken(x, dtype):
    return x != 0 if np.dtype(dtype).kind == "b" else jnp.asarray(x, dtype)


def _tables(arrays, lead):
    """The numbers of several arrays in one for each dtype, behind `lead` axes: {(dtype, lead): array}."""
    parts = {}
    for array in arrays:
        held = _held(jnp.asarray(array))
        parts.setdefault((held.dtype, lead), []).append(held.reshape(*held.shape[:lead], -1))
    return {name: jnp.concatenate(row, axis=-1) for name, row in parts.items()}


def _read(variables, load):
    """Arrays of objects of scalars, in the order in which `_tables` stored them."""
    used, result = {}, {}
    for variable in variables:
        dtype, size = _table_dtype(variable.aval.dtype), math.prod(variable.aval.shape)
        first = used.get(dtype, 0)
        used[dtype] = first + size
        items = (_taken(load(dtype, first + place), variable.aval.dtype) for place in range(size))
        result[variable] = filled(variable.aval.shape, items)
    return result
