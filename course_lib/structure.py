"""What a Keras model is made of, as one would draw it: steps one after another, branches that
part and meet again, blocks that repeat. It is read off the model's own graph; nothing is typed.

Normalisation, activation, dropout, padding and flattening are folded away.
"""

import functools
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace

import keras

L = keras.layers


@dataclass(frozen=True)
class Step:
    """One layer that is drawn, with the tensor that comes out of it."""

    name: str
    kind: str  # one of KINDS
    shape: tuple  # of the output for one image: (height, width, channels) or (units,)
    kernel: str = ""  # "3x3", "max 2x2"
    stride: int = 1
    groups: int = 1
    parts: tuple = ()  # of a concatenation: the channels that meet
    first: tuple = ()  # what was folded away before it on this way alone: "norm", "ReLU"
    then: tuple = ()  # what was folded away after it
    layer: object = field(default=None, compare=False, repr=False)

    @property
    def side(self):
        """Pixels a side, 1 where there are none."""
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def channels(self):
        return self.shape[-1]

    @property
    def label(self):
        """The short text beside its arrow: "3x3, 64"; without the channels where they stay."""
        if self.kind in ("add", "concatenate", "multiply", "shuffle", "pooling", "pad"):
            return self.kernel
        if self.kind == "depthwise convolution":
            return f"dw, {self.kernel}"
        return f"{self.kernel}, {self.channels}" if self.kernel else f"{self.channels:,}"


@dataclass(frozen=True)
class Split:
    """Branches from one tensor, each a list of parts (an empty one is the tensor itself), and the
    step at which they meet."""

    branches: tuple
    join: Step

    @property
    def shape(self):
        return self.join.shape


@dataclass(frozen=True)
class Group:
    """A layer that has layers inside, `count` of them in a row; `parts` are those of the first."""

    name: str
    parts: tuple
    count: int = 1
    last: Step | None = None  # the output of the last

    @property
    def shape(self):
        return (self.last or self.parts[-1]).shape


@dataclass(frozen=True)
class Exit:
    """Parts that leave the way to the output and end in an output of their own."""

    parts: tuple

    @property
    def shape(self):
        return self.parts[-1].shape


KINDS = (
    "convolution",
    "1x1 convolution",
    "depthwise convolution",
    "pooling",
    "dense",
    "add",
    "multiply",
    "concatenate",
    "shuffle",
    "pad",
    "block",
    "other",
)
# Layers and operations that are folded away even where they change the shape.
FOLDED = ("ZeroPadding", "Flatten", "Reshape", "Normalization", "Dropout", "Activation", "InputL")
NAMES = {"relu": "ReLU", "relu6": "ReLU6", "leakyrelu": "leaky ReLU", "softmax": "softmax"}
NTH = {2: "2nd", 3: "3rd"}
JOINS = {"Add": "add", "Concatenate": "concatenate", "Multiply": "multiply"}


def _window(sides):
    return "x".join(map(str, sides))


def _step(operation, inputs, output):
    """Return the `Step` of one call, or None where it is folded away."""
    name, cls = operation.name, type(operation).__name__
    shape, before = tuple(output.shape[1:]), tuple(inputs[0].shape[1:]) if inputs else ()
    about = {"name": name, "shape": shape, "layer": operation}
    if cls in JOINS and len(inputs) > 1:
        parts = tuple(t.shape[-1] for t in inputs) if cls == "Concatenate" else ()
        return Step(kind=JOINS[cls], parts=parts, **about)
    if any(word in cls for word in FOLDED):
        return None
    if hasattr(operation, "kernel_size"):
        depthwise = isinstance(operation, L.DepthwiseConv2D)
        about["kernel"] = _window(operation.kernel_size)
        about["stride"] = max(operation.strides)
        about["groups"] = 1 if depthwise else operation.groups
        one = set(operation.kernel_size) == {1}
        kind = "depthwise convolution" if depthwise else "1x1 convolution" if one else "convolution"
        return Step(kind=kind, **about)
    if isinstance(operation, L.Dense):
        return Step(kind="dense", **about)
    if cls.startswith("Global"):
        return Step(kind="pooling", kernel="mean" if "Average" in cls else "max", **about)
    if hasattr(operation, "pool_size"):
        window = operation.pool_size
        window = window if isinstance(window, (tuple, list)) else (window,) * 2
        stride = operation.strides or window
        stride = max(stride) if isinstance(stride, (tuple, list)) else stride
        if set(window) == {1}:
            kernel = f"every {NTH.get(stride, f'{stride}th')} pixel"
            return None if shape == before else Step(kind="pooling", kernel=kernel, **about)
        what = "max" if "Max" in cls or getattr(operation, "mode", "") == "max" else "mean"
        return Step(kind="pooling", kernel=f"{what} {_window(window)}", stride=stride, **about)
    if re.search("shuffle|permut", cls, re.I):
        return Step(kind="shuffle", kernel="shuffle", **about)
    if cls == "Pad":
        zeros = shape[-1] - before[-1]
        return Step(kind="pad", kernel=f"{zeros} zero channels", **about) if zeros else None
    weights = isinstance(operation, L.Layer) and operation.weights
    return None if shape == before and not weights else Step(kind="other", kernel=cls, **about)


def _own(operation):
    """Return the activation that a layer brings with it."""
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", "linear")
    return () if name == "linear" else (NAMES.get(name, name),)


def _word(operation):
    """Return the word for an operation that is folded away; () if it needs none."""
    cls = type(operation).__name__
    if "Normalization" in cls:
        return ("norm",)
    if "Activation" in cls:
        return _own(operation)
    return (NAMES[cls.lower()],) if cls.lower() in NAMES else ()


# ---- the graph of a model, or of a layer that has layers inside


@dataclass
class _Node:
    operation: object
    inputs: list  # numbers of nodes; -1 is the input of the graph
    tensors: list
    output: object


def _nodes(inputs, outputs):
    """Return the calls between the inputs and the outputs in order, and the outputs' numbers."""
    found, number = [], {id(t): -1 for t in inputs}

    def visit(tensor):
        if id(tensor) in number:
            return number[id(tensor)]
        operation, place, _ = tensor._keras_history
        call = operation._inbound_nodes[place]
        sources = [visit(t) for t in call.input_tensors]
        if not sources:
            raise ValueError(f"{operation.name} has another input; one picture goes in here.")
        for made in call.output_tensors:
            number[id(made)] = len(found)
        found.append(_Node(operation, sources, list(call.input_tensors), tensor))
        return number[id(tensor)]

    return found, [visit(t) for t in outputs]


def _graph(layer, shape):
    """Return (nodes, numbers of the outputs) of what a layer computes."""
    if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
        inputs, outputs = layer.inputs, keras.tree.flatten(layer.outputs)
        main = getattr(layer, "output", None)
        if isinstance(main, dict) and "main" in main:  # other outputs only help the training
            outputs = [main["main"], *(t for key, t in main.items() if key != "main")]
    else:
        inputs = [keras.Input(shape, name="input")]
        outputs = keras.tree.flatten(layer.call(inputs[0]))
    if len(inputs) != 1:
        raise ValueError(f"{layer.name} has {len(inputs)} inputs; allowed: one.")
    return _nodes(inputs, outputs)


def _inside(operation):
    """Say whether an operation is a layer with layers inside that can be looked at."""
    from course_lib.audit import UNCOUNTABLE

    if not isinstance(operation, L.Layer) or isinstance(operation, UNCOUNTABLE):
        return False
    return bool(list(operation._flatten_layers(include_self=False)))


def parts(layer, shape=None):
    """Return what a built model or layer is made of: a tuple of `Step`, `Split`, `Group`, `Exit`.

    Args:
        layer: a functional `keras.Model`, or a layer that has layers inside.
        shape: of the layer's input for one image; a model knows its own.

    Raises:
        ValueError: the graph has several inputs, or branches that cross.
    """
    nodes, ends = _graph(layer, shape)
    drawn = {-1: -1}  # a node -> the node whose tensor it passes on, itself if it is drawn
    folded = {-1: ()}  # what happened to that tensor since
    things, sources, edges = {}, {}, defaultdict(list)
    for i, node in enumerate(nodes):
        if _inside(node.operation):
            inner = parts(node.operation, tuple(node.tensors[0].shape[1:]))
            thing = Group(node.operation.name, inner) if inner else None
        else:
            thing = _step(node.operation, node.tensors, node.output)
        if thing is None:
            j = node.inputs[0]
            drawn[i], folded[i] = drawn[j], folded[j] + _word(node.operation)
        else:
            drawn[i], folded[i], things[i] = i, _own(node.operation), thing
            sources[i] = [drawn[j] for j in node.inputs]
            for j in node.inputs:
                edges[drawn[j]].append((i, folded[j]))
    for end in ends:
        edges[drawn[end]].append((None, folded[end]))
    for i, uses in edges.items():  # what all uses have in common belongs to the step before
        shared = os.path.commonprefix([words for _, words in uses]) if i != -1 else ()
        if isinstance(things.get(i), Step):
            things[i] = replace(things[i], then=shared)
        for use, words in uses:
            if isinstance(things.get(use), Step) and len(sources[use]) == 1:
                things[use] = replace(things[use], first=words[len(shared) :])
    main, *others = (drawn[end] for end in ends)
    way = _Way(things, sources)
    return _open(way.between(-1, main, others))


class _Way:
    """Walks a graph back from an end: {node: what is drawn}, {node: the nodes before it}."""

    def __init__(self, things, sources):
        self.things, self.sources, self.met = things, sources, set()
        self.behind = functools.cache(self._behind)

    def _behind(self, node):
        """Return the nodes that every way from the input to a node meets, nearest first."""
        ways = [self.behind(source) for source in self.sources.get(node, ())]
        shared = [n for n in ways[0] if all(n in way for way in ways[1:])] if ways else []
        return [node, *shared]

    def between(self, start, end, exits=()):
        """Return the parts after `start` up to `end`; exits are ends of their own on the way."""
        found, now, passed = [], end, {}
        while now != start:
            if now not in self.things or now in self.met:
                raise ValueError("branches cross here; only nested ones can be drawn.")
            self.met.add(now)
            before = self.sources[now]
            passed[now] = self.things[now]
            if len(before) > 1:
                behind = [self.behind(source) for source in before]
                fork = next(n for n in behind[0] if all(n in way for way in behind[1:]))
                branches = tuple(_open(self.between(fork, source)) for source in before)
                passed[now] = Split(branches, self.things[now])
                before = [fork]
            now = before[0]
        for now, part in reversed(passed.items()):
            found.append(part)
            for leaving in exits:
                fork = next(n for n in self.behind(leaving) if n in passed)
                if fork == now:
                    found.append(Exit(_open(self.between(now, leaving))))
        return found


def _open(found):
    """Open groups that hold a single step: a convolution with its normalisation."""
    flat = []
    for part in found:
        single = isinstance(part, Group) and len(part.parts) == 1
        if single and isinstance(part.parts[0], Step):
            part = replace(part.parts[0], name=part.name)
        flat.append(part)
    return tuple(flat)


# ---- what repeats


def signature(part):
    """Return what two parts have in common when one looks like the other."""
    if isinstance(part, Step):
        channels = 0 if part.kind == "concatenate" else part.channels
        return (part.kind, part.kernel, part.stride, part.groups, part.side, channels)
    if isinstance(part, Split):
        branches = tuple(tuple(map(signature, branch)) for branch in part.branches)
        return ("split", branches, signature(part.join))
    return (type(part).__name__, tuple(map(signature, part.parts)))


def grouped(found):
    """Return the parts with equal blocks in a row put together, also inside other blocks.

    Blocks of one step stay apart: their labels are joined instead.
    """
    result = []
    for part in found:
        if isinstance(part, Group):
            part = replace(part, parts=tuple(grouped(part.parts)))
        before = result[-1] if result else None
        if (
            isinstance(part, Group)
            and isinstance(before, Group)
            and signature(part) == signature(before)
        ):
            last = part.last or last_step(part)
            result[-1] = replace(before, count=before.count + 1, last=last)
        else:
            result.append(part)
    return result


def closed(found):
    """Return the parts with every block as one step that has its name."""
    result = []
    for part in found:
        if isinstance(part, Split):
            part = Split(tuple(tuple(closed(branch)) for branch in part.branches), part.join)
        elif isinstance(part, Group):
            part = Step(part.name, "block", part.shape, part.name.replace("_", "\n"))
        elif isinstance(part, Exit):
            part = Exit(tuple(closed(part.parts)))
        result.append(part)
    return result


def last_step(part):
    """Return the step whose output a part ends with."""
    if isinstance(part, Step):
        return part
    if isinstance(part, Split):
        return part.join
    return part.last if isinstance(part, Group) and part.last else last_step(part.parts[-1])


def steps(found):
    """Yield every step of the parts, joins included; of a group, those of its first block."""
    for part in found:
        if isinstance(part, Step):
            yield part
        elif isinstance(part, Split):
            for branch in part.branches:
                yield from steps(branch)
            yield part.join
        else:
            yield from steps(part.parts)
