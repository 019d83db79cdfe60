"""Count what a Keras model costs: parameters, multiply-adds, receptive field, activation memory.

Multiply-adds are those of convolutions and dense layers, for one image: no bias, normalisation,
pooling, activation or addition. One multiply-add is two floating-point operations.

    python -m course_lib.audit alexnet_paper
    python -m course_lib.audit --list
    python -m course_lib.audit --all --json
"""

import argparse
import contextlib
import json
import math
from dataclasses import dataclass, field

import keras

from course_lib import rich

L = keras.layers


@dataclass
class Row:
    """One call of one layer that has no layers inside it."""

    path: str  # "block/conv", the layers that contain it first
    kind: str
    output_shape: tuple  # for one image, without the batch
    params: int  # counted at the layer's first call only
    trainable: int
    macs: int | None  # None: this program has no rule for the layer
    field: tuple  # receptive field in pixels, one a dimension; math.inf when it is the whole input
    bytes: int  # memory of the output for one image, in the layer's compute type


@dataclass(repr=False)
class Audit:
    """What `audit` found: a table, in a notebook and in print.

    params, trainable and macs are totals; `memory` is the bytes of all outputs for one image,
    what training keeps if nothing is computed in place; `notes` says what was not counted.
    """

    name: str
    input_shapes: list
    params: int
    trainable: int
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: dict = field(default_factory=dict)  # a block's name -> (output shape, receptive field)

    @property
    def macs(self):
        return sum(row.macs or 0 for row in self.rows)

    @property
    def memory(self):
        return sum(row.bytes for row in self.rows)

    def summary(self):
        """Return the totals as a dictionary that JSON can hold."""
        return {
            "params": self.params,
            "trainable": self.trainable,
            "macs": self.macs,
            "activation_bytes": self.memory,
            "input_shapes": self.input_shapes,
            "notes": self.notes,
        }

    def blocks(self):
        """Return the rows summed over the layers of the model itself, in order of first call."""
        sums = {}
        for row in self.rows:
            top = row.path.split("/")[0]
            old = sums.get(top)
            same = row.path == top and old is None
            shape, receptive = self.ends.get(top, (row.output_shape, row.field))
            sums[top] = Row(
                top,
                row.kind if same else "block",
                shape,
                row.params + (old.params if old else 0),
                row.trainable + (old.trainable if old else 0),
                (row.macs or 0) + (old.macs if old else 0),
                receptive,
                row.bytes + (old.bytes if old else 0),
            )
        return list(sums.values())

    def _lines(self, blocks=True):
        """Return the cells of the table: head, one line a block or a layer, totals."""
        lines = [("layer", "output", "parameters", "multiply-adds", "receptive field")]
        for row in self.blocks() if blocks else self.rows:
            macs = "not counted" if row.macs is None else f"{row.macs:,}"
            shape = " x ".join(map(str, row.output_shape))
            lines.append((row.path, shape, f"{row.params:,}", macs, show_field(row.field)))
        lines.append(("total", "", f"{self.params:,}", f"{self.macs:,}", ""))
        return lines

    def table(self, blocks=True):
        """Return the rows as text, one a block or one a layer, with the totals last."""
        text = rich.columns(self._lines(blocks), right=(2, 3, 4))
        return "\n".join([text, *(f"note: {note}" for note in self.notes)])

    def __repr__(self):
        return self.table()

    def _repr_markdown_(self):
        head, *lines, total = self._lines()
        lines.append([f"**{cell}**" if cell else "" for cell in total])
        notes = [f"*{note}*" for note in self.notes]
        return "\n\n".join([rich.table(head, lines, right=(2, 3, 4)), *notes])


def show_field(sides):
    """Return a receptive field as text: "all", "11", or "3 x 5" where the sides differ."""
    if any(side == math.inf for side in sides):
        return "all"
    sides = [f"{side:g}" for side in sides]
    return sides[0] if len(set(sides)) == 1 else " x ".join(sides)


# ---- multiply-adds of one call ------------------------------------------------------------------

# What the networks of the course have, and what a learner's own may have.
FREE = (
    L.InputLayer,
    L.BatchNormalization,
    L.LayerNormalization,
    L.GroupNormalization,
    L.Activation,
    L.ReLU,
    L.LeakyReLU,
    L.PReLU,
    L.ELU,
    L.Softmax,
    L.Dropout,
    L.SpatialDropout2D,
    L.GaussianNoise,
    L.GaussianDropout,
    L.AlphaDropout,
    L.MaxPooling2D,
    L.AveragePooling2D,
    L.GlobalAveragePooling2D,
    L.GlobalMaxPooling2D,
    L.Flatten,
    L.Reshape,
    L.Permute,
    L.ZeroPadding2D,
    L.Cropping2D,
    L.Add,
    L.Subtract,
    L.Multiply,
    L.Average,
    L.Maximum,
    L.Concatenate,
    L.Identity,
    L.Rescaling,
    L.Normalization,
    L.RandomFlip,
    L.RandomTranslation,
    L.RandomCrop,
)
# Layers that run the layers inside them in a loop, or multiply tensors in code of their own.
UNCOUNTABLE = (L.RNN, L.Wrapper, L.MultiHeadAttention)


def _positions(shape, channels):
    """Return the number of positions of a (1, ...) tensor: its elements without the channels."""
    return math.prod(shape) // channels


def multiply_adds(layer, inputs, outputs):
    """Return the multiply-adds of one call on a batch of one, or None without a rule.

    Args:
        layer: a built Keras layer that contains no layers.
        inputs, outputs: the shape of its first input and output, batch included.
    """
    if hasattr(layer, "multiply_adds"):
        return layer.multiply_adds(inputs, outputs)
    if isinstance(layer, L.SeparableConv2D):
        channels = layer.depthwise_kernel.shape[-2] * layer.depthwise_kernel.shape[-1]
        kernel = math.prod(layer.kernel_size) * channels + channels * layer.filters
        return _positions(outputs, layer.filters) * kernel
    if isinstance(layer, L.DepthwiseConv2D):  # kernel: (height, width, in, multiplier)
        channels = layer.kernel.shape[-2] * layer.kernel.shape[-1]
        return _positions(outputs, channels) * math.prod(layer.kernel.shape)
    if isinstance(layer, L.Conv2D):  # kernel: (height, width, in / groups, out)
        return _positions(outputs, layer.filters) * math.prod(layer.kernel.shape)
    if isinstance(layer, L.Dense):
        return _positions(outputs, layer.units) * math.prod(layer.kernel.shape)
    return 0 if isinstance(layer, FREE) else None


# ---- receptive field ----------------------------------------------------------------------------


def _tuple(value, n):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def _grow(layer, before):
    """Return the ((field, step), ...) of a layer's output from its input's, one a dimension."""
    n = len(before)
    if isinstance(layer, (L.Flatten, L.Reshape)) or type(layer).__name__.startswith("Global"):
        return ((math.inf, math.inf),) * n
    if hasattr(layer, "pool_size"):
        kernel, dilation = layer.pool_size, 1
    elif hasattr(layer, "kernel_size"):
        kernel, dilation = layer.kernel_size, getattr(layer, "dilation_rate", 1)
    else:
        return before
    sizes = zip(before, _tuple(kernel, n), _tuple(layer.strides, n), _tuple(dilation, n))
    return tuple((f + (k - 1) * d * s, s * z) for (f, s), k, z, d in sizes)


def _largest(fields):
    """Return the largest receptive field, dimension by dimension, of several inputs."""
    fields = [f for f in fields if f]
    if not fields:
        return ()
    n = max(map(len, fields))
    return tuple(max(f[i] for f in fields if len(f) == n) for i in range(n))


# ---- the walk -----------------------------------------------------------------------------------


def _is_tensor(value):
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _as_symbol(value):
    """Return a symbolic tensor like a tensor; anything else as it is."""
    return keras.KerasTensor(value.shape, value.dtype) if _is_tensor(value) else value


class _Walk:
    """Follow one symbolic call of a model and write down every call of every layer in it."""

    def __init__(self, result, model):
        self.result, self.model = result, model
        self.scopes = []  # the composite layers that are being called: (name, fields seen inside)
        self.fields = {}  # id of a tensor -> its ((field, step), ...)
        self.kept = []  # the tensors themselves, so that no id is used twice
        self.counted = set()
        self.inside = False  # a layer without layers runs its own code, which is not observed

    def note(self, tensor, receptive):
        self.fields[id(tensor)] = receptive
        self.kept.append(tensor)
        if self.scopes:
            self.scopes[-1][1].append(receptive)

    def entering(self, tensors):
        """Return the field of a layer's input; what an operation without a layer made is taken
        as the largest field seen so far inside the layer around it."""
        known = [self.fields[id(t)] for t in tensors if id(t) in self.fields]
        if len(known) < len(tensors) and self.scopes:
            known = known + self.scopes[-1][1]
        return _largest(known)

    def weights(self, layer, own):
        """Return (all, trainable) parameters that no earlier call has counted."""
        new = [w for w in own if id(w) not in self.counted]
        self.counted.update(map(id, new))
        ours = {id(w) for w in layer.trainable_weights}
        sizes = [(math.prod(w.shape), id(w) in ours) for w in new]
        return sum(size for size, _ in sizes), sum(size for size, train in sizes if train)

    def observe(self, layer, call):
        """Return a call of the layer that is written down."""

        def observed(*args, **kwargs):
            if self.inside:
                return call(*args, **kwargs)
            inputs = [t for t in keras.tree.flatten((args, kwargs)) if _is_tensor(t)]
            inner = list(layer._flatten_layers(include_self=False))
            if layer is self.model or (inner and not isinstance(layer, UNCOUNTABLE)):
                return self.composite(layer, inputs, call, args, kwargs)
            return self.leaf(layer, inputs, args, kwargs)

        return observed

    def composite(self, layer, inputs, call, args, kwargs):
        """Call a layer that has layers inside, each of which is observed."""
        before = self.entering(inputs)
        self.scopes.append((None if layer is self.model else layer.name, [before]))
        outputs = call(*args, **kwargs)
        after = _largest(self.scopes.pop()[1])
        if len(self.scopes) == 1:  # a layer of the model itself
            shape = tuple(keras.tree.flatten(outputs)[0].shape[1:])
            self.result.ends[layer.name] = (shape, tuple(f for f, _ in after))
        inner = layer._flatten_layers(include_self=False)
        below = {id(w) for child in inner for w in child.weights}
        own = [w for w in layer.weights if id(w) not in below]
        if own and layer is not self.model:
            self.row(layer, outputs, own, None, before)
        for tensor in keras.tree.flatten(outputs):
            self.note(tensor, after)
        return outputs

    def leaf(self, layer, inputs, args, kwargs):
        """Call a layer that has none inside, and write down its row."""
        self.inside = True
        # Of a layer that knows its output's shape nothing is computed, not even symbolically.
        args, kwargs = keras.tree.map_structure(_as_symbol, (args, kwargs))
        spec = layer.compute_output_spec(*args, **kwargs)
        outputs = keras.tree.map_structure(lambda t: keras.ops.zeros(t.shape, t.dtype), spec)
        self.inside = False
        after = _grow(layer, self.entering(inputs))
        first = [keras.tree.flatten(t)[0] for t in (inputs or [outputs], [outputs])]
        macs = None
        if not isinstance(layer, UNCOUNTABLE):
            macs = multiply_adds(layer, tuple(first[0].shape), tuple(first[1].shape))
        self.row(layer, outputs, layer.weights, macs, after)
        for tensor in keras.tree.flatten(outputs):
            self.note(tensor, after)
        return outputs

    def row(self, layer, outputs, own, macs, receptive):
        path = "/".join([name for name, _ in self.scopes if name] + [layer.name])
        params, trainable = self.weights(layer, own)
        outputs = keras.tree.flatten(outputs)
        size = 4 if "32" in layer.compute_dtype else 8 if "64" in layer.compute_dtype else 2
        self.result.rows.append(
            Row(
                path,
                type(layer).__name__,
                tuple(outputs[0].shape[1:]),
                params,
                trainable,
                macs,
                tuple(f for f, _ in receptive),
                sum(math.prod(t.shape) for t in outputs) * size,
            )
        )
        if macs is None:
            self.result.notes.append(
                f"multiply-adds of {path} ({type(layer).__name__}) are not counted: no rule for it"
            )


@contextlib.contextmanager
def calls(layers, wrap):
    """Let each layer run wrap(layer, its own call) instead of its call, while the context lasts."""
    try:
        for layer in layers:
            object.__setattr__(layer, "call", wrap(layer, layer.call))
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def audit(model, input_shape=None):
    """Count a Keras model, symbolically: nothing is computed and no weight is changed.

    Args:
        model: any built or functional `keras.Model`.
        input_shape: (height, width, channels) when the model leaves sides open.

    Returns:
        An `Audit`. Its rows are the calls of the innermost layers in order; a shared layer has a
        row for each call, its parameters count once.

    Raises:
        ValueError: the model is not built, or its input sides are open and not given.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model is a {type(model).__name__}; allowed: a keras.Model.")
    inputs = getattr(model, "_inputs_struct", None)  # of a functional model
    if isinstance(model, keras.Sequential) and model.built and model.inputs:
        inputs = model.inputs[0]
    if input_shape is not None:
        like = keras.KerasTensor((1, *input_shape))
    elif inputs is not None:
        like = keras.tree.map_structure(
            lambda t: keras.KerasTensor((1, *t.shape[1:]), dtype=t.dtype), inputs
        )
    else:
        raise ValueError(
            "the model has no fixed inputs; give input_shape=(height, width, channels)."
        )
    shapes = [tuple(t.shape[1:]) for t in keras.tree.flatten(like)]
    if any(side is None for shape in shapes for side in shape):
        raise ValueError(f"the model's input is {shapes}; give input_shape with every side fixed.")

    class Probe(L.Layer):
        def call(self, tensors):
            for tensor in keras.tree.flatten(tensors):
                walk.note(tensor, ((1, 1),) * max(len(tensor.shape) - 2, 1))
            return model(tensors)

    result = Audit(model.name, [list(shape) for shape in shapes], 0, 0)
    walk = _Walk(result, model)
    with calls(list(model._flatten_layers()), walk.observe):
        Probe(name="audit_probe")(like)
    result.params = model.count_params()
    result.trainable = sum(math.prod(w.shape) for w in model.trainable_weights)
    missed = result.params - sum(row.params for row in result.rows)
    if missed:
        result.notes.append(f"{missed:,} parameters belong to layers that the call did not reach")
    return result


def main(argv=None):
    """Print the audit of registered networks; see the module's text for the forms."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.audit", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", help="a name from --list")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--all", action="store_true", help="audit every name")
    parser.add_argument("--layers", action="store_true", help="one line a layer, not a block")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(argv)
    from course_lib import zoo

    if given.list:
        print("\n".join(zoo.names()))
    elif given.all:
        found = {}
        for name in zoo.names():
            found[name] = audit(zoo.build(name)).summary()
            keras.backend.clear_session()
            if not given.json:
                print(f"{name}: {found[name]['params']:,} parameters, {found[name]['macs']:,} macs")
        if given.json:
            print(json.dumps(found, indent=1))
    elif given.name:
        try:
            result = audit(zoo.build(given.name))
        except ValueError as error:
            parser.exit(2, f"{error}\n")
        print(json.dumps(result.summary()) if given.json else result.table(not given.layers))
    else:
        parser.error("give a name, --list or --all")


if __name__ == "__main__":
    main()
