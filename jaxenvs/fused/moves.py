"""Rules for what moves elements about, or joins those of one environment: NumPy does the first while tracing."""

import functools

import numpy as np
from jax import lax

from jaxenvs.fused.elements import Key, bind, filled, shape_of
from jaxenvs.fused.expand import Unfusable
from jaxenvs.fused.program import Variable


def _broadcast_in_dim(equation, arrays, lanes):
    shape, array = shape_of(equation.results[0]), arrays[0]
    places = equation.params["broadcast_dimensions"]
    sizes = [1] * len(shape)
    for axis, place in enumerate(places):
        sizes[place] = array.shape[axis]
    return [np.broadcast_to(array.reshape(sizes), shape)]


def _reshape(equation, arrays, lanes):
    operand, result = equation.operands[0], equation.results[0]
    before = operand.aval.shape[: operand.batch] if isinstance(operand, Variable) and operand.batch is not None else ()
    after = result.aval.shape[: result.batch] if result.batch is not None else ()
    if equation.params.get("dimensions") is not None or np.prod(before) != np.prod(after):
        raise Unfusable("reshape mixes the environments of the batch", equation.source)
    return [arrays[0].reshape(shape_of(result))]


def _whole_batch(equation, operand, axes):
    """Refuses an operation along the batch axis."""
    if isinstance(operand, Variable) and operand.batch is not None and operand.batch in axes:
        raise Unfusable(f"{equation.primitive.name} mixes the environments of the batch", equation.source)


def _slice(equation, arrays, lanes):
    operand, params = equation.operands[0], equation.params
    strides = params["strides"] or (1,) * arrays[0].ndim
    limits = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    if operand.batch is not None:
        if limits[operand.batch] != (0, operand.aval.shape[operand.batch], 1):
            _whole_batch(equation, operand, (operand.batch,))
        limits[operand.batch] = (0, 1, 1)
    return [arrays[0][tuple(slice(*limit) for limit in limits)]]


def _dynamic_slice(equation, arrays, lanes):
    array, starts = arrays[0], [start.item() for start in arrays[1:]]
    if not all(isinstance(start, np.generic) for start in starts):
        raise Unfusable("it indexes an array with a place that is not known when it is traced", equation.source)
    sizes = list(shape_of(equation.results[0]))
    if equation.operands[0].batch is not None and equation.results[0].batch is None:
        _whole_batch(equation, equation.operands[0], (equation.operands[0].batch,))
    starts = [int(np.clip(s, 0, n - k)) for s, n, k in zip(starts, array.shape, sizes, strict=True)]
    return [array[tuple(slice(s, s + k) for s, k in zip(starts, sizes, strict=True))]]


def _iota(equation, arrays, lanes):
    result, along = equation.results[0], equation.params["dimension"]
    shape, dtype = shape_of(result), equation.params["dtype"]
    if along == result.batch:
        return [filled(shape, [lanes.places(dtype)] * int(np.prod(shape)))]
    return [filled(shape, (np.asarray(place[along], dtype)[()] for place in np.ndindex(shape)))]


def _along(function):
    """A rule that moves elements along an axis that is not the batch."""

    def rule(equation, arrays, lanes):
        result = equation.results[0]
        moved = function(equation.params, [np.asarray(a) for a in arrays])
        moved = moved if isinstance(moved, list) else [moved]
        for operand in equation.operands:
            if isinstance(operand, Variable) and operand.batch is not None and moved[0].shape != shape_of(result):
                _whole_batch(equation, operand, (operand.batch,))
        return moved

    return rule


def _split(params, arrays):
    return np.split(arrays[0], np.cumsum(params["sizes"])[:-1], axis=params["axis"])


def _unstack(params, arrays):
    return [part.reshape(part.shape) for part in np.moveaxis(arrays[0], params["axis"], 0)]


def _pad(equation, arrays, lanes):
    array, padding = arrays
    for axis, (low, high, inner) in enumerate(equation.params["padding_config"]):
        if (low, high, inner) == (0, 0, 0):
            continue
        _whole_batch(equation, equation.operands[0], (axis,))
        if min(low, high) < 0 or inner:
            raise Unfusable("it pads an array by less than nothing, or inside", equation.source)
        ends = [np.broadcast_to(padding, [*array.shape[:axis], n, *array.shape[axis + 1 :]]) for n in (low, high)]
        array = np.concatenate([ends[0], array, ends[1]], axis)
    return [array]


def _folded(primitive):
    """A rule that joins the elements of some axes by a primitive."""

    def rule(equation, arrays, lanes):
        axes = equation.params["axes"]
        _whole_batch(equation, equation.operands[0], axes)
        join = lambda a, b: bind(primitive, {}, (a, b))  # noqa: E731
        rows = _rows(arrays[0], axes)
        return [filled(shape_of(equation.results[0]), (functools.reduce(join, row) for row in rows))]

    return rule


def _rows(array, axes):
    """The elements of each place of the other axes."""
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    moved = array.transpose([*kept, *axes])
    return moved.reshape(int(np.prod([array.shape[axis] for axis in kept])), -1)


def _extreme(better):
    def rule(equation, arrays, lanes):
        axes, dtype = equation.params["axes"], equation.params["index_dtype"]
        _whole_batch(equation, equation.operands[0], axes)

        def place(row):
            best, index = row[0], np.asarray(0, dtype)[()]
            for number, item in enumerate(row[1:], 1):
                # As XLA has it: the first NaN wins, then the first of equals.
                nan = bind(lax.and_p, {}, (bind(lax.ne_p, {}, (item, item)), bind(lax.eq_p, {}, (best, best))))
                wins = bind(lax.or_p, {}, (bind(better, {}, (item, best)), nan))
                best = bind(lax.select_n_p, {}, (wins, best, item))
                index = bind(lax.select_n_p, {}, (wins, index, np.asarray(number, dtype)[()]))
            return index

        return [filled(shape_of(equation.results[0]), map(place, _rows(arrays[0], axes)))]

    return rule


def _dot_general(equation, arrays, lanes):
    (contracted, batches), dtype = equation.params["dimension_numbers"], equation.results[0].aval.dtype
    sides = []
    for array, operand, inner, outer in zip(arrays, equation.operands, contracted, batches, strict=True):
        _whole_batch(equation, operand, inner)
        free = [axis for axis in range(array.ndim) if axis not in (*inner, *outer)]
        order, size = [*outer, *free, *inner], lambda axes, a=array: int(np.prod([a.shape[axis] for axis in axes]))
        sides.append(array.transpose(order).reshape(size(outer), size(free), size(inner)))
    convert = {"new_dtype": dtype, "weak_type": False, "sharding": None}
    cast = lambda x: x if x.dtype == dtype else bind(lax.convert_element_type_p, convert, (x,))  # noqa: E731
    product = lambda pair: bind(lax.mul_p, {}, tuple(map(cast, pair)))  # noqa: E731
    join = lambda a, b: bind(lax.add_p, {}, (a, b))  # noqa: E731
    items = [
        functools.reduce(join, map(product, zip(row, column, strict=True)))
        for left, right in zip(*sides, strict=True)
        for row in left
        for column in right
    ]
    return [filled(shape_of(equation.results[0]), items)]


def _random_unwrap(equation, arrays, lanes):
    keys = arrays[0].reshape(-1)
    return [filled(shape_of(equation.results[0]), (word for key in keys for word in key.words))]


def _random_wrap(equation, arrays, lanes):
    rows = arrays[0].reshape(-1, arrays[0].shape[-1])
    return [filled(shape_of(equation.results[0]), (Key(tuple(row)) for row in rows))]


#: By the primitive's name: `rule(equation, arrays, lanes)` gives the arrays of the results.
RULES = {
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "iota": _iota,
    "pad": _pad,
    "squeeze": lambda equation, arrays, lanes: [arrays[0].reshape(shape_of(equation.results[0]))],
    "transpose": _along(lambda params, arrays: arrays[0].transpose(params["permutation"])),
    "concatenate": _along(lambda params, arrays: np.concatenate(arrays, params["dimension"])),
    "stack": _along(lambda params, arrays: np.stack(arrays, params["axis"])),
    "unstack": _along(_unstack),
    "split": _along(_split),
    "rev": _along(lambda params, arrays: np.flip(arrays[0], params["dimensions"])),
    "reduce_sum": _folded(lax.add_p),
    "reduce_max": _folded(lax.max_p),
    "reduce_min": _folded(lax.min_p),
    "reduce_prod": _folded(lax.mul_p),
    "reduce_and": _folded(lax.and_p),
    "reduce_or": _folded(lax.or_p),
    "argmax": _extreme(lax.gt_p),
    "argmin": _extreme(lax.lt_p),
    "dot_general": _dot_general,
    "random_unwrap": _random_unwrap,
    "random_wrap": _random_wrap,
}
