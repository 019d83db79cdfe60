"""Answers to assignment 03."""

import csv
import math
from fractions import Fraction

import numpy as np

from answers import right, wrong

# error_curve


def curve_with(rank, first=1):
    """Return an answer from a function (scores, own) -> rank of every label."""

    def answer(scores, labels):
        own = scores[np.arange(len(labels)), labels][:, None]
        ranks = rank(scores, own)
        last = first + scores.shape[1]
        return np.array([np.mean(ranks > k) for k in range(first, last)])

    return answer


def strict_rank(scores, own):
    return (scores >= own).sum(axis=1)


curve_right = curve_with(strict_rank)


@wrong("error_curve", "ties are decided for the model")
def curve_lucky(scores, labels):
    return curve_with(lambda s, own: (s > own).sum(axis=1) + 1)(scores, labels)


@wrong("error_curve", "some ties are decided for the model, by the order of the classes")
def curve_argsort(scores, labels):
    order = np.argsort(-scores, axis=1, kind="stable")
    rank = np.argmax(order == labels[:, None], axis=1) + 1
    return [np.mean(rank > k) for k in range(1, scores.shape[1] + 1)]


@wrong("error_curve", "these are the shares that are right")
def curve_accuracy(scores, labels):
    return 1 - curve_right(scores, labels)


@wrong("error_curve", "the errors are in percent")
def curve_percent(scores, labels):
    return 100 * curve_right(scores, labels)


@wrong("error_curve", "these are numbers of pictures")
def curve_counts(scores, labels):
    return len(labels) * curve_right(scores, labels)


@wrong("error_curve", "every error stands one place too late")
def curve_from_zero(scores, labels):
    return curve_with(strict_rank, first=0)(scores, labels)


@wrong("error_curve", "these are the shares whose label stands exactly at rank k")
def curve_of_ranks(scores, labels):
    return -np.diff(curve_right(scores, labels), prepend=1)


@wrong("error_curve", "the lowest score is ranked first")
def curve_upside_down(scores, labels):
    return curve_right(-scores, labels)


@wrong("error_curve", "the last error is missing")
def curve_short(scores, labels):
    return curve_right(scores, labels)[:-1]


@wrong("error_curve", "there is an error for 0 guesses in front")
def curve_with_no_guess(scores, labels):
    return [1.0, *curve_right(scores, labels)]


@wrong("error_curve", "The curve has shape (2,); it should have shape (7,)")
def curve_one_and_five(scores, labels):
    return curve_right(scores, labels)[[0, 4]]


@wrong("error_curve", "For a network that gives every class the same score, the curve")
def curve_noise_against_ties(scores, labels):
    if np.ptp(scores) == 0:
        scores = np.random.default_rng(0).random(scores.shape)
    return curve_right(scores, labels)


@right("error_curve")
def curve_picture_by_picture(scores, labels):
    errors = []
    for k in range(1, scores.shape[1] + 1):
        bad = 0
        for row, label in zip(scores, labels, strict=True):
            ahead = sum(row[c] >= row[label] for c in range(len(row)) if c != label)
            bad += ahead >= k
        errors.append(bad / len(labels))
    return errors


@right("error_curve")
def curve_from_counts(scores, labels):
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    ranks = np.count_nonzero(scores >= own, axis=1)
    counts = np.bincount(ranks, minlength=scores.shape[1] + 1)
    return (1 - np.cumsum(counts)[1:] / len(labels)).astype("float32")


@right("error_curve")
def curve_label_last(scores, labels):
    nudged = scores.copy()
    nudged[np.arange(len(labels)), labels] -= 0.5
    order = np.argsort(-nudged, axis=1)
    places = np.argmax(order == labels[:, None], axis=1)
    return (places[:, None] >= np.arange(1, scores.shape[1] + 1)).mean(axis=0)


# judge


def read(text):
    """Return {picture: five guesses}, the last line of a picture counting; no checks."""
    rows = (list(map(int, line.split(","))) for line in text.splitlines()[1:])
    return {row[0]: row[1:] for row in rows}


def judge_with(verdict):
    """Return a strict answer whose errors are made by `verdict(guesses, labels)`."""

    def answer(text, labels):
        check(text, labels)
        return verdict(read(text), labels)

    return answer


def check(text, labels, *, twice=True, missing=True, same=True, count=True):
    """Refuse what breaks one of the rules that are switched on."""
    rows = [list(map(int, line.split(","))) for line in text.splitlines()[1:]]
    images = [row[0] for row in rows]
    if twice and len(set(images)) != len(images):
        raise ValueError("a picture is guessed twice")
    if missing and set(images) != set(range(len(labels))):
        raise ValueError("a picture is missing")
    if same and any(len(set(row[1:])) != len(row[1:]) for row in rows):
        raise ValueError("a class is guessed twice")
    if count and any(len(row) != 6 for row in rows):
        raise ValueError("five guesses, please")


def errors(guesses, labels):
    bad1 = [guesses[i][0] != y for i, y in enumerate(labels) if i in guesses]
    bad5 = [y not in guesses[i] for i, y in enumerate(labels) if i in guesses]
    return np.array([np.mean(bad1), np.mean(bad5)])


@wrong("judge", "the label is taken in the order of the lines")
def judge_in_file_order(text, labels):
    check(text, labels)
    return errors(dict(enumerate(read(text).values())), labels)


@wrong("judge", "these are the shares that are right")
def judge_accuracy(text, labels):
    return judge_with(lambda g, y: 1 - errors(g, y))(text, labels)


@wrong("judge", "the errors are in percent")
def judge_percent(text, labels):
    return tuple(judge_with(lambda g, y: 100 * errors(g, y))(text, labels))


@wrong("judge", "these are numbers of pictures")
def judge_counts(text, labels):
    return list(judge_with(lambda g, y: len(y) * errors(g, y))(text, labels))


@wrong("judge", "the order is wrong: first the top-1 error")
def judge_swapped(text, labels):
    return tuple(errors(read(text), labels)[::-1])


@wrong("judge", "everything is wrong: '6' and 6 are not equal")
def judge_strings(text, labels):
    rows = [line.split(",") for line in text.splitlines()[1:]]
    guesses = {int(row[0]): row[1:] for row in rows}
    return tuple(errors(guesses, labels))


@wrong("judge", "the number of the picture counts as a guess")
def judge_row_as_guesses(text, labels):
    return tuple(errors({i: [i, *g] for i, g in read(text).items()}, labels))


@wrong("judge", "the top-5 error counts the number of the picture as a guess")
def judge_image_in_five(text, labels):
    guesses = read(text)
    wide = {i: [i, *g] for i, g in guesses.items()}
    return errors(guesses, labels)[0], errors(wide, labels)[1]


@wrong("judge", "the top-5 error leaves out the best guess")
def judge_without_best(text, labels):
    guesses = read(text)
    return errors(guesses, labels)[0], errors({i: g[1:] for i, g in guesses.items()}, labels)[1]


@wrong("judge", "the top-1 error looks at the last guess")
def judge_last_guess(text, labels):
    return tuple(errors({i: g[::-1] for i, g in read(text).items()}, labels))


@wrong("judge", "the first line counts as a picture")
def judge_header_counts(text, labels):
    n = len(text.splitlines())
    return tuple(errors(read(text), labels) * len(labels) / n)


@wrong("judge", "stops with ValueError (invalid literal for int() with base 10: 'image')")
def judge_reads_header(text, labels):
    return tuple(errors(read("\n" + text), labels))


@wrong("judge", "stops with ValueError (invalid literal for int() with base 10: '')")
def judge_splits_at_newline(text, labels):
    return [int(line.split(",")[0]) for line in text.split("\n")[1:]]


@wrong("judge", "one thing came back where there should be 2")
def judge_text(text, labels):
    return f"{errors(read(text), labels)}"


@wrong("judge", "a file with two lines for picture 3 is accepted")
def judge_last_line_wins(text, labels):
    check(text, labels, twice=False)
    return tuple(errors(read(text), labels))


@wrong("judge", "a file without a line for picture 0 is accepted")
def judge_scores_what_is_there(text, labels):
    check(text, labels, missing=False)
    return tuple(errors(read(text), labels))


@wrong("judge", "should be refused with a ValueError, but `judge` stops with KeyError (0)")
def judge_key_error(text, labels):
    check(text, labels, missing=False)
    guesses = read(text)
    top1 = np.mean([guesses[i][0] != y for i, y in enumerate(labels)])
    return top1, errors(guesses, labels)[1]


@wrong("judge", "a file with two lines for picture 4 and none for 3 is accepted")
def judge_counts_lines(text, labels):
    check(text, labels, twice=False, missing=False)
    if len(text.splitlines()) != len(labels) + 1:
        raise ValueError("one line a picture")
    return tuple(errors(read(text), labels))


@wrong("judge", "a line that guesses class 8 twice is accepted")
def judge_same_class(text, labels):
    check(text, labels, same=False)
    return tuple(errors(read(text), labels))


@wrong("judge", "a line of four guesses is accepted")
def judge_any_number(text, labels):
    check(text, labels, count=False)
    return tuple(errors(read(text), labels))


@wrong("judge", "a line of six guesses is accepted")
def judge_at_least_five(text, labels):
    check(text, labels, count=False)
    if min(map(len, read(text).values())) < 5:
        raise ValueError("too few")
    return tuple(errors(read(text), labels))


@right("judge")
def judge_csv(text, labels):
    rows = sorted([int(v) for v in row] for row in list(csv.reader(text.splitlines()))[1:])
    if [row[0] for row in rows] != list(range(len(labels))):
        raise ValueError("every picture once")
    if any(len(row) != 6 or len({*row[1:]}) < 5 for row in rows):
        raise ValueError("five different guesses")
    hits = np.array(rows)[:, 1:] == labels[:, None]
    return [1 - hits[:, 0].mean(), 1 - hits.any(axis=1).mean()]


@right("judge")
def judge_counters(text, labels):
    open_, bad1, bad5 = set(range(len(labels))), 0, 0
    for line in text.strip().split("\n")[1:]:
        image, *guess = (int(part) for part in line.split(","))
        if image not in open_ or len(guess) != 5 or len(set(guess)) != 5:
            raise ValueError(f"line {line!r}")
        open_.remove(image)
        bad1 += guess[0] != labels[image]
        bad5 += labels[image] not in guess
    if open_:
        raise ValueError(f"missing: {open_}")
    return bad1 / len(labels), bad5 / len(labels)


@wrong("judge", "a line of six guesses with one class twice is accepted")
def judge_set_alone(text, labels):
    rows = sorted([int(v) for v in row] for row in list(csv.reader(text.splitlines()))[1:])
    if [row[0] for row in rows] != list(range(len(labels))):
        raise ValueError("every picture needs one line")
    if any(len({*row[1:]}) != 5 for row in rows):
        raise ValueError("five different guesses are needed")
    hits = np.array([row[1:6] for row in rows]) == labels[:, None]
    return [1 - hits[:, 0].mean(), 1 - hits.any(axis=1).mean()]


@wrong("judge", "is refused without a word")
def judge_silent(text, labels):
    try:
        return judge_csv(text, labels)
    except ValueError:
        raise ValueError from None


# interval


def wilson(p, n, z=1.96):
    centre, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return centre, half, 1 + z * z / n


@wrong("interval", "this is the simple interval")
def interval_wald(wrong, n):
    p = wrong / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


@wrong("interval", "z is 1.645")
def interval_90(wrong, n):
    centre, half, bottom = wilson(wrong / n, n, 1.645)
    return (centre - half) / bottom, (centre + half) / bottom


@wrong("interval", "z is 2.576")
def interval_99(wrong, n):
    centre, half, bottom = wilson(wrong / n, n, 2.576)
    return (centre - half) / bottom, (centre + half) / bottom


@wrong("interval", "z is 1, which gives 68 %")
def interval_68(wrong, n):
    centre, half, bottom = wilson(wrong / n, n, 1)
    return (centre - half) / bottom, (centre + half) / bottom


@wrong("interval", "the factor z before the root is missing")
def interval_without_factor(wrong, n):
    centre, half, bottom = wilson(wrong / n, n)
    return (centre - half / 1.96) / bottom, (centre + half / 1.96) / bottom


@wrong("interval", "the root is not taken")
def interval_without_root(wrong, n):
    centre, half, bottom = wilson(wrong / n, n)
    half = 1.96 * (half / 1.96) ** 2
    return (centre - half) / bottom, (centre + half) / bottom


@wrong("interval", "the division by 1 + z^2 / n is missing")
def interval_undivided(wrong, n):
    centre, half, _ = wilson(wrong / n, n)
    return centre - half, centre + half


@wrong("interval", "only the root is divided by 1 + z^2 / n")
def interval_brackets(wrong, n):
    centre, half, bottom = wilson(wrong / n, n)
    return centre - half / bottom, centre + half / bottom


@wrong("interval", "z^2 / (2 n) is missing before the root")
def interval_around_p(wrong, n):
    _, half, bottom = wilson(wrong / n, n)
    return (wrong / n - half) / bottom, (wrong / n + half) / bottom


@wrong("interval", "in the root, n is not squared")
def interval_n_not_squared(wrong, n):
    p, z = wrong / n, 1.96
    centre, _, bottom = wilson(p, n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n))
    return (centre - half) / bottom, (centre + half) / bottom


@wrong("interval", "the bounds are in percent")
def interval_percent(wrong, n):
    return tuple(100 * bound for bound in interval_by_bisection(wrong, n))


@wrong("interval", "the order is wrong")
def interval_high_first(wrong, n):
    return interval_by_bisection(wrong, n)[::-1]


@wrong("interval", "this is the middle and half of the width")
def interval_middle_and_half(wrong, n):
    centre, half, bottom = wilson(wrong / n, n)
    return centre / bottom, half / bottom


@wrong("interval", "nan came back, the root of a negative number")
def interval_number_as_share(wrong, n):
    z = 1.96
    half = z * np.sqrt(wrong * (1 - wrong) / n + z**2 / (4 * n**2))
    centre = wrong + z**2 / (2 * n)
    return (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)


@wrong("interval", "interval(1, 20) at [1] is 0.0636917; it should be 0.236136")
def interval_of_the_person(wrong, n):
    return interval_counts(77, 1500)


@right("interval")
def interval_by_bisection(wrong, n):
    p = wrong / n

    def far(x):
        return (x - p) ** 2 > 1.96**2 * x * (1 - x) / n

    bounds = []
    for inside, outside in ((p, 0.0), (p, 1.0)):
        if wrong == 0 and outside == 0:
            bounds.append(0.0)
            continue
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if far(middle) else (middle, outside)
        bounds.append(inside)
    if wrong == 0:
        bounds[1] = 1.96**2 / n / (1 + 1.96**2 / n)
    return tuple(bounds)


@right("interval")
def interval_counts(wrong, n):
    z2 = 1.96**2
    root = math.sqrt(z2 * (4 * wrong * (n - wrong) / n + z2))
    return [(2 * wrong + z2 + sign * root) / (2 * (n + z2)) for sign in (-1, 1)]


@right("interval")
def interval_finer_z(wrong, n):
    centre, half, bottom = wilson(np.float32(wrong / n), n, 1.959964)
    return np.array([centre - half, centre + half]) / bottom


# scale_and_crop


def scaled(height, width, shorter):
    scale = Fraction(shorter, min(height, width))
    return round(height * scale), round(width * scale)


def corner(high, wide, side):
    return (high - side) // 2, (wide - side) // 2


@wrong("scale_and_crop", "the longer side is scaled to `shorter` pixels")
def crop_longer(height, width, shorter, side):
    high, wide = (round(s * shorter / max(height, width)) for s in (height, width))
    return high, wide, *corner(high, wide, side)


@wrong("scale_and_crop", "both sides get `shorter` pixels")
def crop_squeezed(height, width, shorter, side):
    return shorter, shorter, *corner(shorter, shorter, side)


@wrong("scale_and_crop", "the height is always scaled to `shorter` pixels")
def crop_landscape(height, width, shorter, side):
    wide = round(width * shorter / height)
    return shorter, wide, *corner(shorter, wide, side)


@wrong("scale_and_crop", "the other side is cut off, not rounded")
def crop_int(height, width, shorter, side):
    high, wide = (s * shorter // min(height, width) for s in (height, width))
    return high, wide, *corner(high, wide, side)


@wrong("scale_and_crop", "the other side is not a whole number")
def crop_fraction(height, width, shorter, side):
    high, wide = (s * shorter / min(height, width) for s in (height, width))
    return high, wide, *corner(high, wide, side)


@wrong("scale_and_crop", "the photograph keeps its size")
def crop_unscaled(height, width, shorter, side):
    return height, width, *corner(height, width, side)


@wrong("scale_and_crop", "height and width are swapped")
def crop_swapped(height, width, shorter, side):
    wide, high = scaled(height, width, shorter)
    return high, wide, *corner(high, wide, side)


@wrong("scale_and_crop", "top and left are swapped")
def crop_left_top(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return high, wide, *corner(wide, high, side)


@wrong("scale_and_crop", "the square lies in the upper left corner")
def crop_corner(height, width, shorter, side):
    return *scaled(height, width, shorter), 0, 0


@wrong("scale_and_crop", "this is the middle of the photograph")
def crop_middle(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return high, wide, high // 2, wide // 2


@wrong("scale_and_crop", "all that is left over lies above and to the left")
def crop_lower_right(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return high, wide, high - side, wide - side


@wrong("scale_and_crop", "the square is placed in the photograph before it was scaled")
def crop_before_scaling(height, width, shorter, side):
    return *scaled(height, width, shorter), *corner(height, width, side)


@wrong("scale_and_crop", "half a pixel is rounded up")
def crop_rounded_up(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return high, wide, math.ceil((high - side) / 2), math.ceil((wide - side) / 2)


@wrong("scale_and_crop", "the corner is not always a whole number")
def crop_half_pixels(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return high, wide, (high - side) / 2, (wide - side) / 2


@wrong("scale_and_crop", "2 things came back where there should be 4")
def crop_pairs(height, width, shorter, side):
    high, wide = scaled(height, width, shorter)
    return (high, wide), corner(high, wide, side)


@wrong("scale_and_crop", "new_height of scale_and_crop(100, 155, 32, 28) is 256")
def crop_always_256(height, width, shorter, side):
    high, wide = scaled(height, width, 256)
    return high, wide, *corner(high, wide, side)


@right("scale_and_crop")
def crop_two_cases(height, width, shorter, side):
    if height <= width:
        new = (shorter, int(width / height * shorter + 0.5))
    else:
        new = (int(height / width * shorter + 0.5), shorter)
    return [*new, int((new[0] - side) / 2), int((new[1] - side) / 2)]


@right("scale_and_crop")
def crop_arrays(height, width, shorter, side):
    sides = np.array([height, width])
    sides = np.rint(sides * shorter / sides.min())
    return tuple(np.concatenate([sides, np.floor((sides - side) / 2)]))


# ten_crop_test


def softmax(logits, axis=-1):
    powers = np.exp(logits)
    return powers / powers.sum(axis=axis, keepdims=True)


def five_places(height, width, side, inset=0):
    bottom, right_ = height - side, width - side
    corners = [(y, x) for y in (0, bottom - inset) for x in (0, right_ - inset)]
    return [*corners, (bottom // 2, right_ // 2)]


def mirrored(square):
    return square[:, ::-1]


def ten_with(finish=None, mirror=mirrored, places=five_places, plain=True):
    """Return an answer: what becomes of the logits, how squares are mirrored, where they lie."""

    def answer(image, side, network):
        squares = [image[y : y + side, x : x + side] for y, x in places(*image.shape[:2], side)]
        all_ = (squares if plain else []) + ([mirror(s) for s in squares] if mirror else [])
        logits = network(np.stack(all_))
        return finish(logits) if finish else softmax(logits).mean(axis=0)

    return answer


@wrong("ten_crop_test", "the logits are averaged, and softmax comes last")
def ten_softmax_last(*arguments):
    return ten_with(lambda logits: softmax(logits.mean(axis=0)))(*arguments)


@wrong("ten_crop_test", "these are logits")
def ten_logits(*arguments):
    return ten_with(lambda logits: logits.mean(axis=0))(*arguments)


@wrong("ten_crop_test", "softmax goes along the squares")
def ten_softmax_axis(*arguments):
    return ten_with(lambda logits: softmax(logits, axis=0).mean(axis=0))(*arguments)


@wrong("ten_crop_test", "the probabilities are not averaged")
def ten_rows(*arguments):
    return ten_with(softmax)(*arguments)


@wrong("ten_crop_test", "the probabilities are added up")
def ten_sum(*arguments):
    return ten_with(lambda logits: softmax(logits).sum(axis=0))(*arguments)


@wrong("ten_crop_test", "the mean is taken over the classes")
def ten_mean_axis(*arguments):
    return ten_with(lambda logits: softmax(logits).mean(axis=-1))(*arguments)


@wrong("ten_crop_test", "the highest probability of each class is taken")
def ten_max(*arguments):
    return ten_with(lambda logits: softmax(logits).max(axis=0))(*arguments)


@wrong("ten_crop_test", "the mirror images are missing")
def ten_five(*arguments):
    return ten_with(mirror=None)(*arguments)


@wrong("ten_crop_test", "only the mirror images are used")
def ten_mirrors_only(*arguments):
    return ten_with(plain=False)(*arguments)


@wrong("ten_crop_test", "the squares are mirrored upside down")
def ten_upside_down(*arguments):
    return ten_with(mirror=lambda square: square[::-1])(*arguments)


@wrong("ten_crop_test", "the squares are turned by 180 degrees")
def ten_turned(*arguments):
    return ten_with(mirror=lambda square: square[::-1, ::-1])(*arguments)


@wrong("ten_crop_test", "the centre is missing")
def ten_without_centre(*arguments):
    return ten_with(places=lambda *sizes: five_places(*sizes)[:4])(*arguments)


@wrong("ten_crop_test", "only the centre is used")
def ten_centre_only(*arguments):
    return ten_with(places=lambda *sizes: five_places(*sizes)[4:])(*arguments)


@wrong("ten_crop_test", "lie one pixel too far in")
def ten_inset(*arguments):
    return ten_with(places=lambda *sizes: five_places(*sizes, inset=1))(*arguments)


@wrong("ten_crop_test", "the network was given the shape (5, 5, 3); it takes (squares, 5, 5, 3)")
def ten_one_square(image, side, network):
    return softmax(network(image[:side, :side]))


@wrong("ten_crop_test", "For a photograph as large as the square the result")
def ten_centre_by_hand(image, side, network):
    if image.shape[0] == side:
        return softmax(network(image[None]))[0]
    return ten_with()(image, side, network)


@right("ten_crop_test")
def ten_one_by_one(image, side, network):
    total = 0
    for picture in (image, np.fliplr(image)):
        for y, x in five_places(*picture.shape[:2], side):
            total = total + softmax(network(picture[None, y : y + side, x : x + side])[0])
    return total / 10


@right("ten_crop_test")
def ten_negative_slices(image, side, network):
    y, x = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    middle = image[y : y + side, x : x + side]
    left, right_ = image[:, :side], image[:, image.shape[1] - side :]
    five = np.array([left[:side], left[-side:], right_[:side], right_[-side:], middle], "float32")
    first, second = softmax(network(five)), softmax(network(np.flip(five, axis=2)))
    return list((first.mean(axis=0) + second.mean(axis=0)) / 2)


@wrong("ten_crop_test", "softmax is taken twice")
def ten_softmax_twice(image, side, network):
    def shares(z):
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    h, w, _ = image.shape
    corners = [(0, 0), (0, w - side), (h - side, 0), (h - side, w - side)]
    corners.append(((h - side) // 2, (w - side) // 2))
    squares = np.stack([image[r : r + side, c : c + side] for r, c in corners])
    return shares(shares(network(np.concatenate([squares, squares[:, :, ::-1]])))).mean(axis=0)


@wrong("scale_and_crop", "half a pixel is rounded with round()")
def crop_round(height, width, shorter, side):
    scale = shorter / min(height, width)
    high, wide = round(height * scale), round(width * scale)
    return high, wide, round((high - side) / 2), round((wide - side) / 2)


@wrong("scale_and_crop", "halving both before subtracting cuts off twice")
def crop_halves(height, width, shorter, side):
    scale = shorter / min(height, width)
    high, wide = round(height * scale), round(width * scale)
    return high, wide, high // 2 - side // 2, wide // 2 - side // 2


@wrong("error_curve", "argsort gives the classes in the order of their scores, not the rank")
def curve_argsort_as_rank(scores, labels):
    rank = np.argsort(-scores, axis=1)[np.arange(len(labels)), labels]
    return [np.mean(rank >= k) for k in range(1, scores.shape[1] + 1)]
