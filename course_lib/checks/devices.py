"""The exercises of assignment 13: gradients and statistics of a batch in parts, and what waits.

Facts: Goyal et al. 2017, arXiv:1706.02677. Exchanging gradients in a ring: every device sends
2 (n - 1) / n times their size.
"""

import numpy as np

from course_lib.checks import Mistake, assignment, expect, parts, recognise, shaped

exercise = assignment("13_devices")

# Pictures of each device, twice; the first time one of the four has none left.
COUNTS = ((2, 0, 5, 1), (3, 1, 4))
SHAPES = {"the kernel": (2, 3), "the bias": (3,)}


def mean_slopes(x, errors):
    """Return the slopes of mean squared error for a linear layer: nan where there is no picture."""
    return (
        [x.T @ errors / len(x), errors.mean(axis=0)]
        if len(x)
        else [np.full(shape, np.nan) for shape in SHAPES.values()]
    )


def batch_in_parts(counts, seed):
    """Return (gradients, one list a device; the gradient of the whole batch)."""
    rng = np.random.default_rng(seed)
    x, errors = rng.normal(size=(sum(counts), 2)), rng.normal(size=(sum(counts), 3))
    ends = np.cumsum(counts)[:-1]
    pieces = zip(np.split(x, ends), np.split(errors, ends), strict=True)
    return [mean_slopes(*piece) for piece in pieces], mean_slopes(x, errors)


def flat(gradient):
    return np.concatenate([np.ravel(slopes) for slopes in gradient])


def whole(result):
    """Return the gradient that an answer gave as one row of numbers."""
    found = parts(result, tuple(SHAPES))
    return flat([shaped(f, s, n) for f, (n, s) in zip(found, SHAPES.items(), strict=True)])


@exercise(
    section="When the parts are unequal",
    correct="unequal devices send unequal shares, and a device without pictures sends nothing.",
    hints=(
        "Each gradient is a mean over the pictures of its device. Count times mean is a sum, sums "
        "add up to the sum over the batch, and that divided by all pictures is the mean.",
        "zip(*gradients) gives, weight by weight, what each device sent. 0 * nan is nan, so leave "
        "out the devices whose count is 0 before you add.",
    ),
)
def average(answer):
    for seed, counts in enumerate(COUNTS):
        gradients, right = batch_in_parts(counts, seed)
        right, total = flat(right), sum(counts)
        got = whole(answer(gradients, list(counts)))
        sent = np.array([flat(g) for g, n in zip(gradients, counts, strict=True) if n])
        n = np.array([n for n in counts if n], float)
        if np.isnan(got).any():
            raise Mistake(
                f"nan came back for the counts {list(counts)}. A device without a picture sends "
                "nan, the mean of nothing, and 0 * nan is nan: leave it out."
            )
        summed = n @ sent
        recognise(
            got,
            {
                "every device has the same say. A device with more pictures speaks for more of "
                "them.": sent.mean(axis=0),
                "every device has the same say, those without pictures too. Weight each by its "
                "pictures.": sent.sum(axis=0) / len(counts),
                "the gradients are added up. The loss is a mean: weight each by its share of the "
                "pictures.": sent.sum(axis=0),
                "this is the sum over all pictures. Divide by how many there are.": summed,
                "the sum over all pictures is divided by the number of devices. Divide it by the "
                "number of pictures.": summed / len(counts),
                "the sum over all pictures is divided by the number of devices that have some. "
                "Divide it by the number of pictures.": summed / len(n),
                "devices with fewer pictures count for more. The share of a device is its count "
                "divided by all.": (1 / n) @ sent / (1 / n).sum(),
                "one over the share is taken for the share.": (total / n) @ sent,
                "this is the first device's gradient alone.": sent[0],
                "this is the gradient of the device with the most pictures. The others count "
                "too.": sent[n.argmax()],
                "each gradient is divided by its count. It is a mean already: multiply, to make it "
                "a sum again.": (1 / n) @ sent,
                "the sign is wrong. This is the step; the gradient points uphill.": -right,
                "the shares are squared.": (n / total) ** 2 @ sent,
            },
            1e-6,
        )
        expect(got, right, what=f"The gradient for the counts {list(counts)}")


CHANNELS = 3


def moments_in_parts(counts, seed):
    """Return (x, means, variances) of a batch in parts whose channels have other places."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(2 * i, 1 + i, (n, CHANNELS)) for i, n in enumerate(counts)]
    return np.concatenate(x), np.array([p.mean(0) for p in x]), np.array([p.var(0) for p in x])


@exercise(
    section="Batch normalisation: other statistics",
    correct="every device sends two rows of numbers, and all know the statistics of the batch.",
    hints=(
        "The mean is that of the parts, weighted by their counts. For the variance, ask first for "
        "the mean of the squares: in one part it is its variance plus its mean squared.",
        "share = counts / counts.sum(), then mean = share @ means, "
        "squares = share @ (variances + means**2), and the variance is squares - mean**2.",
    ),
)
def sync_norm(answer):
    for seed, counts in enumerate(((4, 4), (2, 7, 3))):
        x, means, variances = moments_in_parts(counts, seed + 5)
        n = np.array(counts)
        found = parts(answer(means, variances, n), ("mean", "variance"))
        mean, variance = (
            shaped(f, (CHANNELS,), name)
            for f, name in zip(found, ("mean", "variance"), strict=True)
        )
        share, right = n / n.sum(), np.array([x.mean(axis=0), x.var(axis=0)])
        within, between = share @ variances, share @ (means - right[0]) ** 2
        if np.allclose(mean, right[1]) and np.allclose(variance, right[0]):
            raise Mistake("the order is wrong: first the mean, then the variance.")
        expect(
            mean,
            right[0],
            {
                "the mean gives every part the same weight. Weight it by the counts.": (
                    means.mean(axis=0)
                ),
                "the mean is a sum: divide by the number of pictures.": n @ means,
                "the mean is that of the first part alone.": means[0],
                "the sum over the pictures is divided by the number of parts. Divide it by the "
                "number of pictures.": n @ means / len(n),
                "the mean runs over the channels too. Each channel has its own.": (
                    np.full(CHANNELS, right[0].mean())
                ),
            },
            "The mean",
        )
        expect(
            variance,
            right[1],
            {
                "the variance is the mean of the parts' own. It misses that the parts lie at "
                "different places.": within,
                "the variance is the mean of the parts' own, each with the same weight. Weight it, "
                "and add how far the parts lie apart.": variances.mean(axis=0),
                "this is how far the parts' means lie apart. The variance within the parts is "
                "missing.": between,
                "how far the parts lie apart is taken away. It makes the batch wider: add it.": (
                    within - between
                ),
                "this is the mean of the squares. Take the square of the mean away.": (
                    within + between + right[0] ** 2
                ),
                "this is the standard deviation. The variance is its square.": np.sqrt(right[1]),
                "it is divided by one picture less than there are. Batch normalisation divides by "
                "all.": right[1] * len(x) / (len(x) - 1),
                "how far the means lie apart is not weighted by the counts.": (
                    within + ((means - right[0]) ** 2).mean(axis=0)
                ),
                "the variances within the parts are not weighted by the counts.": (
                    variances.mean(axis=0) + between
                ),
                "the square of the mean is missing in the parts: the mean of the squares is "
                "variance plus mean squared.": within - right[0] ** 2,
                "the variances are added up. Weight each by its share of the pictures.": (
                    variances.sum(axis=0)
                ),
                "the deviations of the parts are averaged and squared. Average the variances.": (
                    (share @ np.sqrt(variances)) ** 2 + between
                ),
            },
            "The variance",
        )


# pictures, batch, devices, device_speed, cores, core_speed, gradient, line
CASES = (
    (1_000_000, 64, 4, 500.0, 6, 100.0, 1e8, 2e9),  # the pipeline is slower
    (1_281_167, 32, 8, 400.0, 64, 200.0, 1e8, 1e9),  # the devices are slower
    (50_010, 100, 1, 250.0, 2, 90.0, 1e8, 1e9),  # one device has nothing to exchange
)


def times():
    """Return over the cases: steps; seconds a step for computing, exchange and preparing."""
    pictures, batch, devices, device_speed, cores, core_speed, gradient, line = np.array(CASES).T
    exchange = 2 * gradient / line - 2 * gradient / line / devices
    preparing = batch * devices / (cores * core_speed)
    return pictures // (batch * devices), batch / device_speed, exchange, preparing


@exercise(
    section="What the input pipeline must deliver",
    correct="a step takes as long as the slower of the two sides.",
    hints=(
        "Write down the seconds of one step for each side: the devices compute and then exchange, "
        "the cores prepare batch * devices pictures. They work at the same time.",
        "A step takes max(computing + exchange, preparing). There are "
        "pictures // (batch * devices) steps.",
        "The cores suffice when batch * devices / (n * core_speed) <= computing + exchange. Solve "
        "for n and round up: math.ceil.",
    ),
)
def plan(answer):
    found = [parts(answer(*case), ("seconds", "cores")) for case in CASES]
    seconds, needed = (
        np.array([float(shaped(pair[i], (), name)) for pair in found])
        for i, name in enumerate(("seconds", "cores"))
    )
    pictures, batch, devices, _, cores, core_speed, gradient, line = np.array(CASES).T
    steps, computing, exchange, preparing = times()
    once, busy = gradient / line, computing + exchange
    slower, exact = np.maximum(busy, preparing), pictures / (batch * devices)
    right, ratio = steps * slower, batch * devices / (busy * core_speed)
    if np.allclose(needed, right) and np.allclose(seconds, np.ceil(ratio)):
        raise Mistake("the order is wrong: first the seconds of an epoch, then the cores.")
    expect(
        seconds,
        right,
        {
            "the times of cores and devices are added. They work at the same time, so the slower "
            "counts.": steps * (busy + preparing),
            "this is the faster of the two sides. The slower makes the other wait.": (
                steps * np.minimum(busy, preparing)
            ),
            "the exchange of the gradients is missing.": steps * np.maximum(computing, preparing),
            "the cores are missing: if they are slower, the devices wait.": steps * busy,
            "the devices are missing: they need time to compute and to exchange.": (
                steps * preparing
            ),
            "the exchange is taken as if it ran beside the computing. It begins when the gradient "
            "is there: add the two.": (
                steps * np.maximum(np.maximum(computing, exchange), preparing)
            ),
            "the factor 2 of the exchange is missing: gradients go round the ring twice.": (
                steps * np.maximum(computing + exchange / 2, preparing)
            ),
            "the exchange is 2 * gradient / line. In a ring it is (devices - 1) / devices of "
            "that.": steps * np.maximum(computing + 2 * once, preparing),
            "the exchange grows with the devices. In a ring each sends 2 (n - 1) / n times the "
            "gradient.": steps * np.maximum(computing + 2 * (devices - 1) * once, preparing),
            "the last batch is not full. It is dropped: round the steps down.": (
                np.ceil(exact) * slower
            ),
            "steps are whole: pictures // (batch * devices).": exact * slower,
            "a step takes batch * devices pictures, so there are fewer steps.": (
                pictures // batch * slower
            ),
            "this is one step. Multiply by the steps of an epoch.": slower,
            "one core prepares all. There are several.": (
                steps * np.maximum(busy, preparing * cores)
            ),
            "the cores prepare only the pictures of one device. They feed all.": (
                steps * np.maximum(busy, preparing / devices)
            ),
            "the batch is divided by the devices. It is the batch of each of them.": (
                steps * np.maximum(computing / devices + exchange, preparing)
            ),
            "this is in hours. Return seconds.": right / 3600,
        },
        "The seconds of the three cases",
        1e-6,
    )
    expect(
        needed,
        np.ceil(ratio),
        {
            "the cores are rounded down. With a core too few the devices wait.": np.floor(ratio),
            "a core is a whole one: round up.": ratio,
            "the cores are counted for devices that only compute. While they exchange, the cores "
            "go on preparing.": np.ceil(batch * devices / (computing * core_speed)),
            "these are the cores that there are. How many are needed?": cores,
            "the cores are counted for one device. They feed all.": np.ceil(ratio / devices),
            "these are the cores that are missing. Return how many are needed in all.": (
                np.ceil(ratio) - cores
            ),
        },
        "The cores of the three cases",
        1e-9,
    )
    waiting = ", ".join(f"{n:.0f} for {c:.0f}" for n, c in zip(np.ceil(ratio), cores, strict=True))
    return f"Cores needed for those that the three machines have: {waiting}."
