"""Answers to assignment 03."""

import csv
import math

import numpy as np

from answers import right, wrong

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


# leaderboard


def board(
    order=lambda top5, top1, team: (top5, top1),
    shown=lambda top5, top1: top5,
    counted=lambda top5, top1: top5,
    level=lambda error, low, high, best: low <= best[0] <= high,
    row=list,
    end=lambda rows, refused: (rows, refused),
):
    """Return an answer; the arguments change one thing each."""

    def answer(files, labels):
        results, refused, n = [], {}, len(labels)
        for team, text in files.items():
            try:
                top1, top5 = judge_csv(text, labels)
            except ValueError as error:
                refused[team] = str(error)
                continue
            shares = wilson_bounds(round(counted(top5, top1) * n), n)
            results.append((team, top5, top1, *shares))
        if order:
            results.sort(key=lambda r: order(r[1], r[2], r[0]))
        best = (results[0][1], *wilson_bounds(round(results[0][1] * n), n))
        rows = [
            row([team, shown(top5, top1), low, high, level(top5, low, high, best)])
            for team, top5, top1, low, high in results
        ]
        return end(rows, refused)

    return answer


def wilson_bounds(wrong, n, z=1.96):
    p = wrong / n
    root = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return tuple((p + z * z / (2 * n) + s * root) / (1 + z * z / n) for s in (-1, 1))


@wrong("leaderboard", "stops with ValueError")
def board_ends(files, labels):
    return [judge_csv(text, labels) for text in files.values()], {}


@wrong("leaderboard", "the worst comes first")
def board_backwards(files, labels):
    return board(order=lambda top5, top1, team: (-top5, -top1))(files, labels)


@wrong("leaderboard", "the order is that of the top-1 errors")
def board_by_top1(files, labels):
    return board(order=lambda top5, top1, team: (top1, top5))(files, labels)


@wrong("leaderboard", "the teams stand in the order of the files")
def board_unsorted(files, labels):
    return board(order=None)(files, labels)


@wrong("leaderboard", "The lower top-1 error goes first")
def board_ties_by_name(files, labels):
    return board(order=lambda top5, top1, team: (top5, team))(files, labels)


@wrong("leaderboard", "the order is that of the alphabet")
def board_by_name(files, labels):
    return board(order=lambda top5, top1, team: team)(files, labels)


@wrong("leaderboard", "the errors and intervals are those of the best guess alone")
def board_of_top1(files, labels):
    return board(shown=lambda a, b: b, counted=lambda a, b: b)(files, labels)


@wrong("leaderboard", "the errors are in percent")
def board_percent(files, labels):
    return board(row=lambda r: [r[0], *(100 * v for v in r[1:4]), r[4]])(files, labels)


@wrong("leaderboard", "the intervals are those of the top-1 errors")
def board_mixed(files, labels):
    return board(counted=lambda a, b: b)(files, labels)


@wrong("leaderboard", "these are the shares that are right")
def board_right(files, labels):
    return board(shown=lambda a, b: 1 - a, counted=lambda a, b: 1 - a)(files, labels)


@wrong("leaderboard", "low and high are swapped")
def board_swapped(files, labels):
    return board(row=lambda r: [r[0], r[1], r[3], r[2], r[4]])(files, labels)


@wrong("leaderboard", "interval got the share of wrong pictures")
def board_share(files, labels):
    n = len(labels)
    return board(row=lambda r: [r[0], r[1], *wilson_bounds(r[1], n), r[4]])(files, labels)


@wrong("leaderboard", "level is True where two intervals overlap")
def board_overlap(files, labels):
    return board(level=lambda error, low, high, best: low <= best[2])(files, labels)


@wrong("leaderboard", "level is turned around")
def board_not_level(files, labels):
    return board(level=lambda error, low, high, best: not low <= best[0] <= high)(files, labels)


@wrong("leaderboard", "level is True only for the first")
def board_first_alone(files, labels):
    place = iter([True] + [False] * 9)
    return board(level=lambda *numbers: next(place))(files, labels)


@wrong("leaderboard", "a team whose file is refused (Quito lacks a picture) has no place")
def board_with_refused(files, labels):
    rows, refused = board()(files, labels)
    return [*rows, ["Quito", 1.0, 1.0, 1.0, False]], refused


@wrong("leaderboard", "the refused should be a dictionary")
def board_list(files, labels):
    return board(end=lambda rows, refused: (rows, list(refused)))(files, labels)


@wrong("leaderboard", "say why Quito is refused")
def board_true(files, labels):
    return board(end=lambda rows, refused: (rows, {"Quito": True}))(files, labels)


@wrong("leaderboard", "refused should be Quito alone; these are")
def board_forgets(files, labels):
    return board(end=lambda rows, refused: (rows, {}))(files, labels)


@wrong("leaderboard", "there should be 5: team, top-5 error, low, high, level")
def board_short_rows(files, labels):
    return board(row=lambda r: r[:4])(files, labels)


@wrong("leaderboard", "the rows name Lima")
def board_winner_alone(files, labels):
    return board(end=lambda rows, refused: (rows[1:2], refused))(files, labels)


@right("leaderboard")
def board_lists(files, labels):
    return list(board()(files, labels))


@right("leaderboard")
def board_tuples(files, labels):
    level = lambda error, low, high, best: np.bool_(best[0] >= low)  # noqa: E731
    return board(row=tuple, level=level)(files, labels)


# leaked


def leak_by(near=0.02, how=np.max, turns=(lambda p: p, lambda p: p[:, :, ::-1]), end=None):
    def answer(train, test, guesses, labels):
        leaks = np.zeros(len(test), bool)
        for turn in turns:
            apart = how(np.abs(test[:, None] - turn(train)), axis=(2, 3))
            leaks |= apart.min(axis=1) <= near
        wrong = guesses != labels
        if end:
            return end(leaks, wrong)
        return np.flatnonzero(leaks), wrong.mean(), wrong[~leaks].mean()

    return answer


def same(pictures):
    return pictures


def upside_down(pictures):
    return pictures[:, ::-1]


def wrong_leak(says, name, **changes):
    """Put a wrong answer under `name` into this module."""

    @wrong("leaked", says)
    def answer(train, test, guesses, labels):
        return leak_by(**changes)(train, test, guesses, labels)

    answer.__name__ = name
    globals()[name] = answer


def ending(places=lambda leaks: np.flatnonzero(leaks), error=np.mean, honest=None):
    honest = honest or (lambda leaks, wrong: wrong[~leaks].mean())
    return lambda leaks, wrong: (places(leaks), error(wrong), honest(leaks, wrong))


for one in (
    ("only exact copies are found", "leak_exact", {"near": 0, "turns": (same,)}),
    ("mirrored copies are missed", "leak_unturned", {"turns": (same,)}),
    ("copies that were saved again are missed", "leak_near_zero", {"near": 0}),
    ("one pixel differs by much counts as a copy", "leak_mean", {"how": np.mean, "near": 0.035}),
    ("pictures are turned upside down", "leak_upside", {"turns": (same, upside_down)}),
    (
        "a picture that is upside down counts as a copy",
        "leak_all_turns",
        {"turns": (same, upside_down, lambda p: p[:, :, ::-1])},
    ),
    (
        "these are the pictures that do not leak",
        "leak_others",
        {"end": ending(lambda leaks: np.flatnonzero(~leaks))},
    ),
    (
        "this says of each test picture whether it leaks",
        "leak_mask",
        {"end": ending(lambda leaks: leaks)},
    ),
    (
        "The list of leaking pictures, sorted, has shape (5,)",
        "leak_one_short",
        {"end": ending(lambda leaks: np.flatnonzero(leaks)[1:])},
    ),
    (
        "this is the share that is right",
        "leak_share",
        {"end": ending(error=lambda w: 1 - w.mean())},
    ),
    ("this is a number of pictures", "leak_count", {"end": ending(error=np.sum)}),
    (
        "the honest error is divided by all pictures",
        "leak_by_all",
        {"end": ending(honest=lambda leaks, wrong: wrong[~leaks].sum() / len(wrong))},
    ),
    (
        "this is the error on the leaking pictures",
        "leak_dishonest",
        {"end": ending(honest=lambda leaks, wrong: wrong[leaks].mean())},
    ),
    (
        "the first error is that of all test pictures",
        "leak_honest_twice",
        {
            "end": lambda leaks, wrong: (
                np.flatnonzero(leaks),
                wrong[~leaks].mean(),
                wrong[~leaks].mean(),
            )
        },
    ),
):
    wrong_leak(one[0], one[1], **one[2])


@wrong("leaked", "these are numbers of training pictures")
def leak_of_training(train, test, guesses, labels):
    _, error, honest = leak_by()(train, test, guesses, labels)
    both = [np.abs(test[:, None] - t).max(axis=(2, 3)) for t in (train, train[:, :, ::-1])]
    known = np.flatnonzero(np.minimum(*both).min(axis=0) <= 0.02)
    return known, error, honest


@right("leaked")
def leak_by_loops(train, test, guesses, labels):
    found = set()
    for i, picture in enumerate(test):
        for known in train:
            for form in (known, np.fliplr(known)):
                if np.allclose(picture, form, rtol=0, atol=0.02):
                    found.add(i)
    rest = [i for i in range(len(test)) if i not in found]
    return sorted(found), np.mean(guesses != labels), np.mean((guesses != labels)[rest])


@right("leaked")
def leak_unordered(train, test, guesses, labels):
    return [np.flip(v) if np.ndim(v) else v for v in leak_by()(train, test, guesses, labels)]


# many_files


def sends(*asked, says="only the public score rises", first="both rise"):
    def answer(predict, measure):
        if first:
            predict(first)
        for question in asked:
            measure(*question)
        return says

    return answer


BOTH = [(n, part) for n in (1, 1000) for part in ("public", "fresh")]


@wrong("many_files", "predict first, then measure")
def files_unpredicted(predict, measure):
    return sends(*BOTH, first=None)(predict, measure)


@wrong("many_files", "there is no prediction")
def files_known_before(predict, measure):
    return "only the public score rises"


@wrong("many_files", "nothing was measured")
def files_unmeasured(predict, measure):
    return sends()(predict, measure)


@wrong("many_files", "predict takes one of")
def files_own_words(predict, measure):
    return sends(first="it rises")(predict, measure)


@wrong("many_files", "return one of 'both rise'")
def files_own_conclusion(predict, measure):
    return sends(*BOTH, says="it rises")(predict, measure)


@wrong("many_files", "on the public pictures you measured [1]: take one file and, say, 500")
def files_one(predict, measure):
    return sends((1, "public"), (1, "fresh"))(predict, measure)


@wrong("many_files", "on the fresh pictures you measured nothing")
def files_public_alone(predict, measure):
    return sends((1, "public"), (500, "public"))(predict, measure)


@wrong("many_files", "'both rise' does not fit")
def files_hopes(predict, measure):
    return sends(*BOTH, says="both rise")(predict, measure)


@wrong("many_files", "'neither rises' does not fit")
def files_doubts(predict, measure):
    return sends(*BOTH, says="neither rises")(predict, measure)


@wrong("many_files", "part is 'test'; allowed: 'public', 'fresh'")
def files_other_part(predict, measure):
    return sends((1, "test"))(predict, measure)


@wrong("many_files", "files is 5000; allowed: 1 to 1000")
def files_too_many(predict, measure):
    return sends((5000, "public"))(predict, measure)


@wrong("many_files", "files is 1.5; allowed: a whole number")
def files_half(predict, measure):
    return sends((1.5, "public"))(predict, measure)


@right("many_files")
def files_both_ends(predict, measure):
    return sends(*BOTH)(predict, measure)


@right("many_files")
def files_by_numbers(predict, measure):
    predict("neither rises")
    rise = [measure(400, part) - measure(2, part) for part in ("public", "fresh")]
    names = {(True, True): "both rise", (True, False): "only the public score rises"}
    return names.get((rise[0] > 2, rise[1] > 2), "neither rises")


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
