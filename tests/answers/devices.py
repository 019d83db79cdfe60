"""Answers to assignment 13."""

import math

import numpy as np

from answers import right, wrong

# average


def summed(gradients, weights):
    """Return the gradients of the devices that have pictures, added up with weights."""
    pairs = [(g, w) for g, w in zip(gradients, weights) if not np.isnan(g[0]).any()]
    return [sum(w * slopes[i] for slopes, w in pairs) for i in range(len(gradients[0]))]


def averaged(weigh):
    """Return an answer whose weights are made of the counts (an array, 0 where none are)."""

    def answer(gradients, counts):
        with np.errstate(all="ignore"):
            return summed(gradients, weigh(np.array(counts, float)))

    return answer


def mark(exercise, answers):
    """Return the answers of {name: (function, what its check says)}, ready for the module."""
    for name, (function, says) in answers.items():
        function.__name__ = f"{exercise}_{name}"
        wrong(exercise, says)(function)
    return {function.__name__: function for function, _ in answers.values()}


globals().update(
    mark(
        "average",
        {
            "plain": (averaged(lambda n: (n > 0) / (n > 0).sum()), "has the same say. A device"),
            "zeros_too": (averaged(lambda n: n**0 / len(n)), "those without pictures too"),
            "total": (averaged(lambda n: n**0), "the gradients are added up"),
            "of_pictures": (averaged(lambda n: n), "this is the sum over all pictures"),
            "by_devices": (averaged(lambda n: n / len(n)), "by the number of devices. Divide"),
            "by_busy": (averaged(lambda n: n / (n > 0).sum()), "number of devices that have some"),
            "upside_down": (averaged(lambda n: 1 / n / (1 / n[n > 0]).sum()), "count for more"),
            "one_over": (averaged(lambda n: n.sum() / n), "one over the share"),
            "first": (averaged(lambda n: np.eye(len(n))[0]), "the first device's gradient"),
            "largest": (averaged(lambda n: np.eye(len(n))[n.argmax()]), "with the most pictures"),
            "mean_again": (averaged(lambda n: 1 / n), "divided by its count"),
            "downhill": (averaged(lambda n: -n / n.sum()), "the sign is wrong"),
            "squared": (averaged(lambda n: (n / n.sum()) ** 2), "the shares are squared"),
        },
    )
)


@wrong("average", "a device without a picture sends nan".capitalize())
def average_with_nan(gradients, counts):
    share = np.array(counts) / sum(counts)
    return [sum(s * g for s, g in zip(share, slopes)) for slopes in zip(*gradients)]


@wrong("average", "one thing came back where there should be 2")
def average_of_kernels(gradients, counts):
    return float(sum(counts))


@wrong("average", "the kernel has shape (3,); it should have shape (2, 3)")
def average_reversed(gradients, counts):
    return averaged(lambda n: n / n.sum())(gradients, counts)[::-1]


@right("average")
def average_with_sums(gradients, counts):
    kernel, bias = 0, 0
    for (dw, db), n in zip(gradients, counts):
        if n > 0:
            kernel, bias = kernel + n * dw, bias + n * db
    return kernel / sum(counts), bias / sum(counts)


@right("average")
def average_with_numpy(gradients, counts):
    kept = [i for i, n in enumerate(counts) if n]
    weights = [counts[i] for i in kept]
    return [np.average(np.nan_to_num(np.array(s))[kept], 0, weights) for s in zip(*gradients)]


# sync_norm


def normed(mean=None, variance=None):
    """Return an answer that is right but for its mean or its variance."""

    def answer(means, variances, counts):
        share = counts / counts.sum()
        m = share @ means
        v = share @ variances + share @ (means - m) ** 2
        return (
            m if mean is None else mean(means, counts),
            v if variance is None else variance(means, variances, counts, m, share),
        )

    return answer


globals().update(
    mark(
        "sync_norm",
        {
            "plain_mean": (normed(lambda m, n: m.mean(0)), "the mean gives every part the same"),
            "sum": (normed(lambda m, n: n @ m), "the mean is a sum"),
            "first": (normed(lambda m, n: m[0]), "that of the first part alone"),
            "by_parts": (normed(lambda m, n: n @ m / len(n)), "by the number of parts"),
            "one_mean": (
                normed(lambda m, n: np.full(3, (n / n.sum() @ m).mean())),
                "runs over the channels too",
            ),
            "within": (
                normed(variance=lambda m, v, n, mean, s: s @ v),
                "the variance is the mean of the parts' own. It misses",
            ),
            "between": (
                normed(variance=lambda m, v, n, mean, s: s @ (m - mean) ** 2),
                "this is how far the parts' means lie apart",
            ),
            "taken_away": (
                normed(variance=lambda m, v, n, mean, s: s @ v - s @ (m - mean) ** 2),
                "is taken away",
            ),
            "squares": (
                normed(variance=lambda m, v, n, mean, s: s @ (v + m**2)),
                "this is the mean of the squares",
            ),
            "deviation": (
                normed(variance=lambda m, v, n, mean, s: np.sqrt(s @ (v + m**2) - mean**2)),
                "this is the standard deviation",
            ),
            "sample": (
                normed(
                    variance=lambda m, v, n, mean, s: (
                        (s @ (v + m**2) - mean**2) * n.sum() / (n.sum() - 1)
                    )
                ),
                "one picture less",
            ),
            "between_plain": (
                normed(variance=lambda m, v, n, mean, s: s @ v + ((m - mean) ** 2).mean(0)),
                "how far the means lie apart is not weighted",
            ),
            "within_plain": (
                normed(variance=lambda m, v, n, mean, s: v.mean(0) + s @ (m - mean) ** 2),
                "the variances within the parts are not weighted",
            ),
            "no_squares": (
                normed(variance=lambda m, v, n, mean, s: s @ v - mean**2),
                "the square of the mean is missing in the parts",
            ),
            "added": (
                normed(variance=lambda m, v, n, mean, s: v.sum(0)),
                "the variances are added up",
            ),
            "deviations": (
                normed(
                    variance=lambda m, v, n, mean, s: (s @ np.sqrt(v)) ** 2 + s @ (m - mean) ** 2
                ),
                "the deviations of the parts are averaged",
            ),
            "order": (
                lambda means, variances, counts: normed()(means, variances, counts)[::-1],
                "first the mean, then the variance",
            ),
            "scalar": (normed(lambda m, n: m.mean()), "mean has shape ()"),
        },
    )
)


@right("sync_norm")
def sync_norm_with_loops(means, variances, counts):
    total = sum(counts)
    mean = [sum(n * m[c] for n, m in zip(counts, means)) / total for c in range(3)]
    variance = [
        sum(n * (v[c] + (m[c] - mean[c]) ** 2) for n, m, v in zip(counts, means, variances)) / total
        for c in range(3)
    ]
    return mean, variance


@right("sync_norm")
def sync_norm_in_pairs(means, variances, counts):
    n, mean, variance = counts[0], means[0], variances[0]
    for k, m, v in zip(counts[1:], means[1:], variances[1:]):
        both = n + k
        variance = (n * variance + k * v + n * k / both * (m - mean) ** 2) / both
        n, mean = both, (n * mean + k * m) / both
    return np.stack([mean, variance])


# plan


def planned(seconds=None, cores=None):
    """Return an answer that is right but for its seconds or its cores."""

    def answer(pictures, batch, devices, device_speed, count, core_speed, gradient, line):
        t = {
            "steps": pictures // (batch * devices),
            "exact": pictures / (batch * devices),
            "computing": batch / device_speed,
            "exchange": 2 * (devices - 1) / devices * gradient / line,
            "once": gradient / line,
            "preparing": batch * devices / (count * core_speed),
            "pictures": pictures,
            "batch": batch,
            "devices": devices,
            "count": count,
            "core_speed": core_speed,
        }
        t["busy"] = t["computing"] + t["exchange"]
        t["ratio"] = batch * devices / (t["busy"] * core_speed)
        right_seconds = t["steps"] * max(t["busy"], t["preparing"])
        return (
            right_seconds if seconds is None else seconds(t),
            math.ceil(t["ratio"]) if cores is None else cores(t),
        )

    return answer


def slowest(*names):
    return lambda t: t["steps"] * max(t[name] for name in names)


globals().update(
    mark(
        "plan",
        {
            "added": (
                planned(lambda t: t["steps"] * (t["busy"] + t["preparing"])),
                "the times of cores and devices are added",
            ),
            "faster": (
                planned(lambda t: t["steps"] * min(t["busy"], t["preparing"])),
                "this is the faster of the two sides",
            ),
            "no_exchange": (
                planned(slowest("computing", "preparing")),
                "exchange of the gradients",
            ),
            "no_cores": (planned(slowest("busy")), "the cores are missing"),
            "no_devices": (planned(slowest("preparing")), "the devices are missing"),
            "beside": (
                planned(slowest("computing", "exchange", "preparing")),
                "as if it ran beside the computing",
            ),
            "once": (
                planned(
                    lambda t: t["steps"] * max(t["computing"] + t["exchange"] / 2, t["preparing"])
                ),
                "the factor 2 of the exchange",
            ),
            "all_of_it": (
                planned(lambda t: t["steps"] * max(t["computing"] + 2 * t["once"], t["preparing"])),
                "the exchange is 2 * gradient / line",
            ),
            "grows": (
                planned(
                    lambda t: (
                        t["steps"]
                        * max(t["computing"] + 2 * (t["devices"] - 1) * t["once"], t["preparing"])
                    )
                ),
                "the exchange grows with the devices",
            ),
            "rounded_up": (
                planned(lambda t: math.ceil(t["exact"]) * max(t["busy"], t["preparing"])),
                "the last batch is not full",
            ),
            "part_of_a_step": (
                planned(lambda t: t["exact"] * max(t["busy"], t["preparing"])),
                "steps are whole",
            ),
            "steps_of_one": (
                planned(lambda t: t["pictures"] // t["batch"] * max(t["busy"], t["preparing"])),
                "so there are fewer steps",
            ),
            "a_step": (planned(lambda t: max(t["busy"], t["preparing"])), "this is one step"),
            "one_core": (
                planned(lambda t: t["steps"] * max(t["busy"], t["preparing"] * t["count"])),
                "one core prepares all",
            ),
            "for_one_device": (
                planned(lambda t: t["steps"] * max(t["busy"], t["preparing"] / t["devices"])),
                "prepare only the pictures of one device",
            ),
            "batch_divided": (
                planned(
                    lambda t: (
                        t["steps"]
                        * max(t["computing"] / t["devices"] + t["exchange"], t["preparing"])
                    )
                ),
                "the batch is divided by the devices",
            ),
            "hours": (
                planned(lambda t: slowest("busy", "preparing")(t) / 3600),
                "this is in hours",
            ),
            "floor": (planned(cores=lambda t: math.floor(t["ratio"])), "are rounded down"),
            "fraction": (planned(cores=lambda t: t["ratio"]), "a core is a whole one"),
            "only_computing": (
                planned(
                    cores=lambda t: math.ceil(
                        t["batch"] * t["devices"] / (t["computing"] * t["core_speed"])
                    )
                ),
                "for devices that only compute",
            ),
            "given": (planned(cores=lambda t: t["count"]), "these are the cores that there are"),
            "cores_of_one": (
                planned(cores=lambda t: math.ceil(t["ratio"] / t["devices"])),
                "the cores are counted for one device",
            ),
            "more": (
                planned(cores=lambda t: math.ceil(t["ratio"]) - t["count"]),
                "the cores that are missing",
            ),
            "order": (lambda *case: planned()(*case)[::-1], "first the seconds of an epoch"),
        },
    )
)


@right("plan")
def plan_by_trying(pictures, batch, devices, device_speed, cores, core_speed, gradient, line):
    ring = sum(gradient / devices / line for _ in range(2 * (devices - 1)))
    busy, needed = batch / device_speed + ring, 1
    while needed * core_speed * busy < batch * devices:
        needed += 1
    steps = int(pictures / batch / devices)
    return np.array([steps * max(busy, batch * devices / cores / core_speed), needed])


@right("plan")
def plan_by_rates(pictures, batch, devices, device_speed, cores, core_speed, gradient, line):
    together = batch * devices
    busy = batch / device_speed + 2 * (1 - 1 / devices) * gradient / line
    rate = min(together / busy, cores * core_speed)
    return together * (pictures // together) / rate, -(-together / busy // core_speed)
