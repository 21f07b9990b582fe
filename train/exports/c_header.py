"""`header`: a policy as one C header, C99 and C++, that needs nothing but the C library."""

import math

import numpy as np

from .structure import NotExpressible

_ACTIVATIONS = {
    "tanh": "tanhf(v)",
    "relu": "v > 0.0f ? v : 0.0f",
    "elu": "v > 0.0f ? v : expm1f(v)",
    "gelu": "0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v)))",
    "silu": "v * 0.5f * (1.0f + tanhf(0.5f * v))",
    "sigmoid": "0.5f * (1.0f + tanhf(0.5f * v))",
}
_NUMBERS = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t",
            "int32": "int32_t", "uint32": "uint32_t"}  # fmt: skip

_TEMPLATE = """\
/* {title}
 *
 * A trained policy, exported by jaxenvs. Include it in one C99 or C++ file, and link with the C library's math (-lm).
 *
 *     float observation[POLICY_OBSERVATION_SIZE];
 *     policy_number action[POLICY_ACTION_SIZE];
 *     policy_act(observation, action);
 *
 * An observation is its numbers in row-major order, one part after the other: {parts}.
 */
#ifndef POLICY_H
#define POLICY_H

#include <math.h>
#include <stdint.h>

#define POLICY_OBSERVATION_SIZE {inputs}
#define POLICY_ACTION_SIZE {outputs}
#define POLICY_DECISIONS {decisions}

/* The type of a number of an action. */
typedef {number} policy_number;

{arrays}

/* What the network says: one number for each choice, or for each axis of a box before its bounds. */
static inline void policy_decide(const float *observation, float *decisions) {{
  float x[{width}], y[{width}];
  int i, j;
  (void)j;
{body}
  for (i = 0; i < POLICY_DECISIONS; i++) decisions[i] = x[i];
}}

/* The best known action. */
static inline void policy_act(const float *observation, policy_number *action) {{
  float decisions[POLICY_DECISIONS];
  policy_decide(observation, decisions);
{action}
}}

#endif
"""


def header(structure, title):
    """The header's text.

    Args:
        structure: `Structure`.
        title: a line for the comment at its top.
    Raises:
        NotExpressible: for actions that are neither floats nor integers of 32 bits, and choices beyond 2**24, which
            floats cannot hold.
    """
    description, arrays = structure
    parts, action = description["observation"], description["action"]
    if action["dtype"] not in _NUMBERS:
        raise NotExpressible(f"its actions are {action['dtype']}; a C header has {', '.join(_NUMBERS)}")
    body, width, shown = _features(parts)
    if description["standardise"] is not None:
        shown |= {"mean": arrays["mean"], "std": arrays["std"]}
        bound = _number(description["standardise"])
        body += [
            f"  for (i = 0; i < {width}; i++) {{",
            "    float v = (x[i] - policy_mean[i]) / policy_std[i];",
            f"    x[i] = v > {bound} ? {bound} : v < -{bound} ? -{bound} : v;",
            "  }",
        ]
    widest = width
    for index, layer in enumerate(description["layers"]):
        lines, more, width = _layer(index, layer["kind"], arrays, width)
        widest, shown = max(widest, width), shown | more
        body += lines
    act, more = _action(action, arrays)
    return _TEMPLATE.format(
        title=title.replace("*/", "* /"),
        parts=", ".join(f"{_name(part)} ({math.prod(part['shape'])})" for part in parts).replace("*/", "* /"),
        inputs=sum(math.prod(part["shape"]) for part in parts), outputs=math.prod(action["shape"]), decisions=width,
        number=_NUMBERS[action["dtype"]], width=max(widest, 1), body="\n".join(body), action="\n".join(act),
        arrays="\n".join(_array(name, values) for name, values in (shown | more).items()),
    )  # fmt: skip


def _features(parts):
    """(lines, width, arrays): an observation's numbers as features, choices one-hot."""
    lines, read, width = [], 0, 0
    for part in parts:
        size = math.prod(part["shape"])
        if "sizes" not in part:
            lines.append(f"  for (i = 0; i < {size}; i++) x[{width} + i] = observation[{read} + i];")
            width += size
        else:
            for offset, (start, choices) in enumerate(zip(part["starts"], part["sizes"], strict=True)):
                if max(abs(start), abs(start + choices)) > 2**24:
                    raise NotExpressible(f"it observes choices from {start} on; a C header's floats end at 2**24")
                lines.append(
                    f"  for (i = 0; i < {choices}; i++) x[{width} + i] = "
                    f"observation[{read + offset}] == (float)({start} + i) ? 1.0f : 0.0f;"
                )
                width += choices
        read += size
    return lines, width, {}


def _layer(index, kind, arrays, width):
    """(lines, arrays to declare, width after it)."""
    if kind == "affine":
        kernel, bias = arrays[f"kernel_{index}"], arrays[f"bias_{index}"]
        outputs = len(bias)
        lines = [
            f"  for (j = 0; j < {outputs}; j++) {{",
            f"    float sum = policy_bias_{index}[j];",
            f"    for (i = 0; i < {width}; i++) sum += policy_kernel_{index}[j * {width} + i] * x[i];",
            "    y[j] = sum;",
            "  }",
            f"  for (j = 0; j < {outputs}; j++) x[j] = y[j];",
        ]
        return lines, {f"kernel_{index}": kernel.T, f"bias_{index}": bias}, outputs
    if kind == "layer_norm":
        lines = [
            "  {",
            "    float mean = 0.0f, spread = 0.0f;",
            f"    for (i = 0; i < {width}; i++) mean += x[i];",
            f"    mean /= {width}.0f;",
            f"    for (i = 0; i < {width}; i++) spread += (x[i] - mean) * (x[i] - mean);",
            f"    spread = sqrtf(spread / {width}.0f + 1e-6f);",
            f"    for (i = 0; i < {width}; i++)",
            f"      x[i] = (x[i] - mean) / spread * policy_scale_{index}[i] + policy_bias_{index}[i];",
            "  }",
        ]
        names = f"scale_{index}", f"bias_{index}"
        return lines, {name: arrays[name] for name in names}, width
    lines = [f"  for (i = 0; i < {width}; i++) {{", "    float v = x[i];", f"    x[i] = {_ACTIVATIONS[kind]};", "  }"]
    return lines, {}, width


def _action(action, arrays):
    """(lines, arrays to declare)."""
    if "squash" in action:
        squash = "tanhf(v)" if action["squash"] == "tanh" else "v > 1.0f ? 1.0f : v < -1.0f ? -1.0f : v"
        lines = [
            "  for (int i = 0; i < POLICY_ACTION_SIZE; i++) {",
            "    float v = decisions[i];",
            f"    v = {squash};",
            "    action[i] = policy_centre[i] + policy_reach[i] * v;",
            "  }",
        ]
        return lines, {name: arrays[name] for name in ("centre", "reach")}
    lines, offset = [], 0
    for index, (size, start) in enumerate(zip(action["sizes"], action["starts"], strict=True)):
        lines += [
            "  {",
            f"    int best = {offset};",
            f"    for (int i = {offset + 1}; i < {offset + size}; i++)",
            "      if (decisions[i] > decisions[best]) best = i;",
            f"    action[{index}] = (policy_number)({start} + (best - {offset}));",
            "  }",
        ]
        offset += size
    return lines, {}


def _array(name, values):
    numbers = [_number(value) for value in np.ravel(values)]
    lines = [", ".join(numbers[start : start + 8]) for start in range(0, len(numbers), 8)]
    return f"static const float policy_{name}[{max(len(numbers), 1)}] = {{\n  " + ",\n  ".join(lines or ["0.0f"]) + "};"


def _number(value):
    """A float's shortest text that C reads as the same float32."""
    text = np.format_float_scientific(np.float32(value), unique=True)
    return f"{text}f".replace(".e", ".0e")


def _name(part):
    return ".".join(map(str, part["path"])) or "observation"
