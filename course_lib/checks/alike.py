"""Which answers of a class are so alike that a teacher may want to look at them."""

import difflib
import io
import itertools
import keyword
import tokenize

ALIKE = 0.9  # from here on a pair is listed

_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def words(source, renamed=False):
    """Return the words of an answer's Python, without comments and layout.

    Args:
        source: the cell; what cannot be read as Python is split at spaces.
        renamed: True puts numbers for names, in the order in which they appear.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return source.split()
    found, numbers = [], {}
    for token in tokens:
        if token.type in _LAYOUT:
            continue
        own = token.type == tokenize.NAME and not keyword.iskeyword(token.string)
        if renamed and own:
            found.append(numbers.setdefault(token.string, f"name{len(numbers)}"))
        else:
            found.append(token.string)
    return found


def likeness(first, second, renamed=False):
    """Return how alike two students' answers are, 0 to 1; longer answers weigh more.

    Args:
        first, second: {exercise: source}. Exercises that only one has count nothing.
        renamed: True compares them as if both had used the same names.
    """
    alike = total = 0
    for name in first.keys() & second.keys():
        a, b = words(first[name], renamed), words(second[name], renamed)
        both = len(a) + len(b)
        alike += both * difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()
        total += both
    return alike / total if total else 0.0


def pairs(answers, failed):
    """Return the pairs of students whose answers are alike, the most alike first.

    Args:
        answers: {student: {exercise: source}}, without what everybody was given.
        failed: {student: the exercises that the student did not pass}.

    Returns:
        Rows (student, student, likeness as written, likeness with the same names, exercises in
        which both have the same wrong answer).
    """
    rows = []
    for one, other in itertools.combinations(sorted(answers), 2):
        first, second = answers[one], answers[other]
        written, renamed = likeness(first, second), likeness(first, second, renamed=True)
        wrong = [
            name
            for name in first
            if name in failed[one]
            and name in failed[other]
            and words(first[name]) == words(second.get(name, ""))
        ]
        if max(written, renamed) >= ALIKE or wrong:
            rows.append((one, other, round(written, 2), round(renamed, 2), ", ".join(wrong)))
    return sorted(rows, key=lambda row: (-row[3], -row[2], row[:2]))
