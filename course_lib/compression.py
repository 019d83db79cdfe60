"""Deep Compression: prune small weights, let the rest share few values, code both by Huffman.

SqueezeNet sec. 4 shrinks the network with this method of Han, Mao and Dally. Here it is one file
of NumPy:

    prune(model, 0.33)                     # then train on: pruned weights stay zero
    print(write(model, "model.dc"))        # bytes after each step
    restore(build("squeezenet_small"), "model.dc")

The file, numbers little-endian:

    8 bytes   "DEEPCOMP"
    4 bytes   CRC-32 of everything that follows
    4 bytes   length of the header
    header    JSON in UTF-8: {"variables": [one object a variable, in the model's order]}
    body      for each variable in turn, without gaps:
              "raw": its float32 values;
              "shared": the float32 codebook, then two Huffman streams. Stream one holds, for each
              weight that is not zero, the number of zeros since the last such weight; 255 stands
              for 255 zeros and no weight. Stream two holds the codebook's index for each weight.

A stream is a canonical Huffman code: the header has the length of every symbol's code in bits and
the number of symbols; codes of one length count upwards in the order of their symbols, and shorter
codes come first. Its last byte is filled up with zeros.
"""

import heapq
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAGIC = b"DEEPCOMP"
LONGEST = 16  # bits of the longest Huffman code
FAR = 255  # the gap symbol that says 255 zeros and no weight

# Table 1, the column "sparsity": the share of weights that is kept, by the start of their path.
# All other layers keep every weight.
SQUEEZENET_KEEP = {
    **{f"fire{i}/expand3x3": 0.33 for i in range(2, 9)},
    "fire6/expand1x1": 0.5,
    "fire7/squeeze": 0.5,
    "fire8/expand1x1": 0.5,
    "fire9/squeeze": 0.5,
    "fire9/expand3x3": 0.3,
    "conv10": 0.2,
}


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model's parameters after each step; `print` it for a table.

    original: 4 bytes a parameter. pruned: 4 bytes for each kept weight, 1 for each gap between
    kept weights; pruned tensors only, others stay as they were. shared: `bits` for each kept
    weight instead of 4 bytes, and the codebooks. file: everything, Huffman coded, with header.
    """

    original: int
    pruned: int
    shared: int
    file: int

    def __str__(self):
        rows = (("parameters", self.original), ("pruned", self.pruned))
        rows += (("shared", self.shared), ("Huffman coded, the file", self.file))
        return "\n".join(
            f"{label:<24} {size:>12,} bytes  {self.original / size:5.1f}x" for label, size in rows
        )


def prune(model, keep):
    """Set the smallest weights of every kernel to zero, and hold them there in later training.

    Biases, scales and statistics are left alone. How many weights remain is rounded to the
    nearest integer. Train on afterwards: the other weights make up for the loss.

    Args:
        model: a built Keras model; changed in place.
        keep: the share of each kernel's weights that remains, above 0 and at most 1, what the
            paper calls its sparsity; or a mapping from the start of a weight's path to its share
            (others keep all), for example `SQUEEZENET_KEEP`.

    Returns:
        {path of the kernel: number of weights that remain}.

    Raises:
        ValueError: a share is out of range, or a path names no kernel of the model.
    """
    shares = keep if isinstance(keep, dict) else {"": keep}
    for start, share in shares.items():
        if not 0 < share <= 1:
            raise ValueError(f"keep is {share!r} for {start!r}; allowed: above 0, at most 1.")
    kernels = [weight for weight in model.trainable_weights if is_kernel(weight)]
    matches = {
        start: [k for k in kernels if not start or f"{k.path}/".startswith(f"{start}/")]
        for start in shares
    }
    unused = [start for start, found in matches.items() if not found]
    if unused:
        paths = ", ".join(kernel.path for kernel in kernels[:4])
        raise ValueError(f"no kernel's path starts with {unused[0]!r}; there are {paths}, ...")
    remain = {}
    for start, found in matches.items():
        for kernel in found:
            values = np.asarray(kernel)
            mask = largest(values, round(shares[start] * values.size))
            kernel.assign(values * mask)
            kernel.constraint = Mask(mask)
            remain[kernel.path] = int(mask.sum())
    model.train_function = None  # one traced before knows of no mask
    return remain


class Mask:
    """A constraint of the optimiser: multiply a weight by zeros and ones."""

    def __init__(self, mask):
        self.mask = mask.astype("float32")

    def __call__(self, weight):
        return weight * self.mask


def largest(values, count):
    """Return a boolean mask of the `count` entries with the largest magnitude."""
    order = np.argsort(-np.abs(values), axis=None, kind="stable")
    mask = np.zeros(values.size, bool)
    mask[order[:count]] = True
    return mask.reshape(values.shape)


def is_kernel(weight):
    """Whether a weight multiplies inputs: it has two or more dimensions."""
    return len(weight.shape) >= 2


def share(weights, bits):
    """Replace the weights that are not zero by 2^bits values or fewer: k-means in one dimension.

    The centres start evenly spread from the smallest weight to the largest. Weights whose centre
    comes to lie on zero are pruned.

    Args:
        weights: array of any shape; zeros are pruned weights and stay zero.
        bits: 1 to 8.

    Returns:
        (codes, codebook): `codebook[codes]` is the array with shared weights. Code 0 is zero;
        the codebook is float32, starts with 0, and rises from its second entry on.

    Raises:
        ValueError: bits is out of range, or a weight is not finite.
    """
    if not isinstance(bits, int) or not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits!r}; allowed: an integer from 1 to 8.")
    weights = np.asarray(weights, "float32")
    if not np.isfinite(weights).all():
        raise ValueError("weights hold NaN or infinity; allowed: finite numbers.")
    kept = weights[weights != 0]
    values, counts = np.unique(kept, return_counts=True)
    if len(values) <= 2**bits:
        centres = values
    else:
        sums = np.concatenate([[0], np.cumsum(values * counts, dtype="float64")])
        numbers = np.concatenate([[0], np.cumsum(counts)])
        centres, cuts = np.linspace(values[0], values[-1], 2**bits), None
        while True:
            new = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2)
            if cuts is not None and np.array_equal(new, cuts):
                break
            cuts = new
            first, last = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(values)]])
            members = numbers[last] - numbers[first]
            means = (sums[last] - sums[first]) / np.maximum(members, 1)
            centres = np.where(members, means, centres)
        centres = np.unique(centres[members > 0].astype("float32"))
    middles = (centres[1:].astype("float64") + centres[:-1]) / 2
    nearest = centres[np.searchsorted(middles, kept)]
    codebook = np.concatenate([[0], centres[centres != 0]]).astype("float32")
    codes = np.zeros(weights.shape, "int32")
    codes[weights != 0] = np.where(nearest, 1 + np.searchsorted(codebook[1:], nearest), 0)
    return codes, codebook


# ---- Huffman ------------------------------------------------------------------------------------


def code_lengths(counts):
    """Return the length in bits of each symbol's Huffman code; 0 for a symbol that never occurs.

    A lone symbol has length 0 too: it needs no bits. Codes longer than 16 bits are avoided by
    flattening the counts.
    """
    counts = np.asarray(counts, "int64")
    lengths = np.zeros(len(counts), "int64")
    if np.count_nonzero(counts) < 2:
        return lengths
    heap = [(int(n), symbol, (symbol,)) for symbol, n in enumerate(counts) if n]
    heapq.heapify(heap)
    while len(heap) > 1:
        (n1, tie, left), (n2, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[list(left + right)] += 1
        heapq.heappush(heap, (n1 + n2, tie, left + right))
    return lengths if lengths.max() <= LONGEST else code_lengths((counts + 1) // 2)


def canonical_codes(lengths):
    """Return each symbol's code as an integer: counting upwards, shorter codes first."""
    codes, code, before = np.zeros(len(lengths), "int64"), 0, 0
    for symbol in np.lexsort((np.arange(len(lengths)), lengths)):
        if lengths[symbol]:
            code <<= int(lengths[symbol]) - before
            before = int(lengths[symbol])
            codes[symbol] = code
            code += 1
    return codes


def encode(symbols):
    """Return (lengths of the codes, bytes) of an array of non-negative integers."""
    symbols = np.asarray(symbols, "int64")
    lengths = code_lengths(np.bincount(symbols))
    size = lengths[symbols]
    end = np.cumsum(size)
    # One row a bit: which symbol it belongs to, and its place in that symbol's code.
    owner = np.repeat(np.arange(len(symbols)), size)
    place = np.arange(len(owner)) - np.repeat(end - size, size)
    bits = canonical_codes(lengths)[symbols][owner] >> (size[owner] - 1 - place) & 1
    return lengths, np.packbits(bits.astype("uint8")).tobytes()


def decode(stream, lengths, count):
    """Return the `count` symbols of a stream that `encode` made.

    Raises:
        ValueError: the stream ends too early, or holds what is no code.
    """
    lengths = np.asarray(lengths, "int64")
    if not lengths.any():  # one symbol, the last, took no bits
        return np.full(count, max(len(lengths) - 1, 0))
    # Every 16 bits begin with one code: look up its symbol and its length.
    symbol_at, length_at = np.zeros(2**LONGEST, "int64"), np.zeros(2**LONGEST, "int64")
    for symbol, code in enumerate(canonical_codes(lengths)):
        if lengths[symbol]:
            spread = LONGEST - lengths[symbol]
            symbol_at[code << spread : (code + 1) << spread] = symbol
            length_at[code << spread : (code + 1) << spread] = lengths[symbol]
    data = np.frombuffer(stream + bytes(3), "uint8").astype("int64")
    three = data[:-2] << 16 | data[1:-1] << 8 | data[2:]
    windows = (three[:, None] >> np.arange(8, 0, -1) & 0xFFFF).ravel()  # the 16 bits from each bit
    steps = length_at[windows].tolist()
    position, positions, end = 0, [], 8 * len(stream)
    for _ in range(count):
        if position >= end or not steps[position]:
            raise ValueError("a Huffman stream ends too early or holds what is no code")
        positions.append(position)
        position += steps[position]
    return symbol_at[windows[positions]]


def gaps(codes):
    """Return the zeros before each non-zero code, as symbols 0 to 255; `FAR` is 255 and no code."""
    places = np.flatnonzero(codes)
    zeros = np.diff(places, prepend=-1) - 1
    far, rest = np.divmod(zeros, FAR)
    symbols = np.full(far.sum() + len(zeros), FAR)
    symbols[np.cumsum(far + 1) - 1] = rest
    return symbols


def places(symbols):
    """Return where the non-zero codes are: what `gaps` was made from."""
    return (np.cumsum(np.where(symbols == FAR, FAR, symbols + 1)) - 1)[symbols != FAR]


# ---- the file -----------------------------------------------------------------------------------


def write(model, path, bits=6):
    """Compress a model's weights into a file.

    Kernels share weights (see `share`) and are Huffman coded; every other variable is kept as it
    is. The model is not changed. Prune it before.

    Args:
        model: a built Keras model.
        path: the file to write.
        bits: for each kernel's codebook, 1 to 8; the paper has 6 and 8.

    Returns:
        `Sizes`: the bytes after each step.

    Raises:
        ValueError: bits is out of range, or a weight is not finite.
    """
    rows, body = [], []
    original = pruned = shared = 0
    for weight in model.weights:
        values = np.asarray(weight).astype("float32")
        row = {"path": weight.path, "shape": list(values.shape)}
        original += 4 * values.size
        if is_kernel(weight):
            codes, codebook = share(values, bits)
            jumps, kept = gaps(codes.ravel()), codes[codes != 0] - 1
            streams = [encode(jumps), encode(kept)]
            row["codebook"] = len(codebook) - 1
            row["symbols"] = [len(jumps), len(kept)]
            row["bytes"] = [len(stream) for _, stream in streams]
            row["lengths"] = [lengths.tolist() for lengths, _ in streams]
            body += [codebook[1:].astype("<f4").tobytes(), *(stream for _, stream in streams)]
            positions = len(jumps) if len(kept) < values.size else 0
            pruned += min(4 * len(kept) + positions, 4 * values.size)
            shared += -(-len(kept) * bits // 8) + positions + 4 * row["codebook"]
        else:
            body.append(values.astype("<f4").tobytes())
            pruned += 4 * values.size
            shared += 4 * values.size
        rows.append(row)
    header = json.dumps({"variables": rows}, separators=(",", ":")).encode()
    content = len(header).to_bytes(4, "little") + header + b"".join(body)
    file = MAGIC + zlib.crc32(content).to_bytes(4, "little") + content
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_bytes(file)
    part.replace(path)
    return Sizes(original, pruned, shared, len(file))


def restore(model, path):
    """Put the weights of a file that `write` made into a model of the same architecture.

    Returns:
        The model.

    Raises:
        ValueError: the file is damaged or not of this kind, or its weights do not fit the model;
            no weight is changed then.
    """
    file = Path(path).read_bytes()
    if file[:8] != MAGIC:
        raise ValueError(f"{path} is not a file of course_lib.compression.")
    if len(file) < 16 or zlib.crc32(file[12:]) != int.from_bytes(file[8:12], "little"):
        raise ValueError(f"{path} is damaged: its checksum is wrong. Write it again.")
    start = 16 + int.from_bytes(file[12:16], "little")
    rows = json.loads(file[16:start])["variables"]
    inside = {row["path"]: tuple(row["shape"]) for row in rows}
    wanted = {weight.path: tuple(weight.shape) for weight in model.weights}
    differ = [p for p in {**wanted, **inside} if wanted.get(p) != inside.get(p)]
    if differ:
        raise ValueError(
            f"{path} does not fit {model.name!r}: {len(differ)} weights differ, first "
            f"{differ[0]!r}: given {inside.get(differ[0])}, allowed {wanted.get(differ[0])}."
        )
    found = {}
    for row in rows:
        size = int(np.prod(row["shape"]))
        values = np.zeros(size, "float32")
        if "codebook" in row:
            codebook = np.frombuffer(file, "<f4", row["codebook"], start)
            start += 4 * row["codebook"]
            streams = []
            for length, lengths, count in zip(row["bytes"], row["lengths"], row["symbols"]):
                streams.append(decode(file[start : start + length], lengths, count))
                start += length
            values[places(streams[0])] = codebook[streams[1]]
        else:
            values[:] = np.frombuffer(file, "<f4", size, start)
            start += 4 * size
        found[row["path"]] = values.reshape(row["shape"])
    for weight in model.weights:
        weight.assign(found[weight.path])
    return model
