"""`onnx_model`: a policy as ONNX, of operators of opset 17."""

import math

import numpy as np

# ONNX Runtime 1.13 and newer read these.
_OPSET, _IR = 17, 8


def input_names(parts):
    """The name of each input: "observation", or "observation.name" for parts of composite observations.

    >>> input_names([{"path": []}]), input_names([{"path": ["a", 0]}])
    (['observation'], ['observation.a.0'])
    """
    return [".".join(map(str, ["observation", *part["path"]])) for part in parts]


def onnx_model(structure, metadata):
    """The model; its inputs are those of `input_names`, [batch, ...]; its outputs "action" and "decisions".

    Args:
        structure: `Structure`.
        metadata: dict of str to str, kept in the model.
    Returns:
        `onnx.ModelProto`.
    Raises:
        ImportError: without the package onnx.
    """
    from onnx import checker, helper

    graph = _Graph()
    parts, action = structure.description["observation"], structure.description["action"]
    x = graph.features(parts)
    bound = structure.description["standardise"]
    if bound is not None:
        x = graph.add("Sub", x, graph.constant(structure.arrays["mean"]))
        x = graph.add("Div", x, graph.constant(structure.arrays["std"]))
        x = graph.clip(x, bound)
    for index, layer in enumerate(structure.description["layers"]):
        x = graph.layer(layer["kind"], x, index, structure.arrays)
    graph.add("Identity", x, output="decisions")
    graph.action(action, x, structure.arrays)
    types = helper.np_dtype_to_tensor_dtype
    inputs = [
        helper.make_tensor_value_info(name, types(np.dtype(part["dtype"])), ["batch", *part["shape"]])
        for name, part in zip(input_names(parts), parts, strict=True)
    ]
    outputs = [
        helper.make_tensor_value_info("action", types(np.dtype(action["dtype"])), ["batch", *action["shape"]]),
        helper.make_tensor_value_info("decisions", types(np.dtype("float32")), ["batch", None]),
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", inputs, outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="jaxenvs",
    )  # fmt: skip
    helper.set_model_props(model, metadata)
    checker.check_model(model)
    return model


class _Graph:
    """Nodes, and the constants that they read."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def add(self, operator, *inputs, output=None, **attributes):
        """Adds a node; returns the name of its output."""
        from onnx import helper

        output = output or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values, dtype: type = np.float32):
        from onnx import numpy_helper

        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def integers(self, values):
        return self.constant(values, np.int64)

    def clip(self, x, bound):
        return self.add("Clip", x, self.constant(-bound), self.constant(bound))

    def cast(self, x, dtype, output=None):
        from onnx import helper

        return self.add("Cast", x, output=output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def features(self, parts):
        """One row of features for each observation, choices one-hot."""
        columns = []
        for name, part in zip(input_names(parts), parts, strict=True):
            flat = self.add("Reshape", name, self.integers([-1, math.prod(part["shape"])]))
            if "sizes" not in part:
                columns.append(self.cast(flat, "float32"))
                continue
            whole = self.cast(flat, "int64")
            for index, (start, size) in enumerate(zip(part["starts"], part["sizes"], strict=True)):
                column = self.add("Gather", whole, self.integers([index]), axis=1)
                equal = self.add("Equal", column, self.integers(start + np.arange(size)))
                columns.append(self.cast(equal, "float32"))
        return self.add("Concat", *columns, axis=1)

    def layer(self, kind, x, index, arrays):
        match kind:
            case "affine":
                kernel, bias = (self.constant(arrays[f"{name}_{index}"]) for name in ("kernel", "bias"))
                return self.add("Gemm", x, kernel, bias)
            case "layer_norm":
                scale, bias = (self.constant(arrays[f"{name}_{index}"]) for name in ("scale", "bias"))
                return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-6)
            case "silu":
                return self.add("Mul", x, self.add("Sigmoid", x))
            case "gelu":
                cube = self.add("Mul", self.add("Mul", x, x), x)
                inner = self.add("Add", x, self.add("Mul", cube, self.constant(0.044715)))
                tanh = self.add("Tanh", self.add("Mul", inner, self.constant(math.sqrt(2 / math.pi))))
                half = self.add("Mul", x, self.constant(0.5))
                return self.add("Mul", half, self.add("Add", tanh, self.constant(1.0)))
        return self.add({"tanh": "Tanh", "relu": "Relu", "elu": "Elu", "sigmoid": "Sigmoid"}[kind], x)

    def action(self, action, x, arrays):
        """The best choices, or the point of a Box."""
        if "squash" in action:
            unit = self.add("Tanh", x) if action["squash"] == "tanh" else self.clip(x, 1.0)
            reached = self.add("Mul", unit, self.constant(arrays["reach"]))
            flat = self.add("Add", reached, self.constant(arrays["centre"]))
        else:
            best, start = [], 0
            for size in action["sizes"]:
                ends = self.integers([start]), self.integers([start + size]), self.integers([1])
                best.append(self.add("ArgMax", self.add("Slice", x, *ends), axis=1, keepdims=1))
                start += size
            flat = self.add("Add", self.add("Concat", *best, axis=1), self.integers(action["starts"]))
        shaped = self.add("Reshape", flat, self.integers([-1, *action["shape"]]))
        self.cast(shaped, action["dtype"], output="action")
