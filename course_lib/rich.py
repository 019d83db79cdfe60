"""What a notebook shows as a table or as highlighted code, and a terminal as plain text."""

import ast
import inspect
import textwrap


class Shown:
    """A text, and the same in Markdown, which JupyterLab, Colab and GitHub set as tables."""

    def __init__(self, text, markdown):
        self.text, self.markdown = text, markdown

    def __repr__(self):
        return self.text

    def _repr_markdown_(self):
        return self.markdown


def table(head, rows, right=()):
    """Return a Markdown table.

    Args:
        head: the names of the columns.
        rows: one list of texts a row.
        right: numbers of the columns that are set to the right.
    """
    lines = ["---:" if i in right else "---" for i in range(len(head))]
    cells = [head, lines, *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def columns(rows, right=()):
    """Return rows as text in columns, those with the numbers in `right` set to the right."""
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(wide) if i in right else cell.ljust(wide)
            for i, (cell, wide) in enumerate(zip(row, width))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def folded(title, markdown):
    """Return Markdown that shows its title, and the rest at a click."""
    return f"<details><summary>{title}</summary>\n\n{markdown}\n\n</details>"


def source(*objects):
    """Show the lines of functions, methods or classes that compute, and fold the rest away.

    Left out are decorators, docstrings and checks of the arguments: calls of `check_...`, and an
    `if` that only raises. A notebook has the whole source at a click.

    Args:
        objects: functions, methods or classes.

    Returns:
        An object that a notebook shows as highlighted code and a terminal as text.
    """
    shorter = [f"# {_name(one)}\n{_computing(one)}" for one in objects]
    text = "\n\n".join(shorter)
    whole = "\n\n".join(textwrap.dedent(inspect.getsource(one)).rstrip() for one in objects)
    more = folded("with documentation and checks", f"```python\n{whole}\n```")
    return Shown(text, f"```python\n{text}\n```\n\n{more}")


def _name(one):
    return f"{one.__module__}.{one.__qualname__}"


def _computing(one):
    """Return the source without what `source` leaves out."""
    text = textwrap.dedent(inspect.getsource(one))
    lines, (tree,) = text.splitlines(), ast.parse(text).body
    drop = set(range(1, tree.lineno))  # decorators
    for node in ast.walk(tree):
        body = getattr(node, "body", None)  # of a conditional expression it is no list
        for i, statement in enumerate(body if isinstance(body, list) else []):
            if _is_check(statement) or (i == 0 and _is_docstring(node, statement)):
                drop.update(range(statement.lineno, statement.end_lineno + 1))
            for decorator in getattr(statement, "decorator_list", ()):
                drop.update(range(decorator.lineno, decorator.end_lineno + 1))
    kept = []
    for number, line in enumerate(lines, 1):
        blank = not line.strip()
        after_blank = not kept or not kept[-1].strip() or kept[-1].rstrip().endswith(":")
        if number not in drop and not (blank and after_blank):
            kept.append(line)
    return "\n".join(kept).rstrip()


def _is_docstring(node, statement):
    documented = isinstance(node, (ast.FunctionDef, ast.ClassDef))
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return documented and constant and isinstance(statement.value.value, str)


def _is_check(statement):
    """Say whether a statement does nothing but refuse wrong arguments."""
    if isinstance(statement, (ast.If, ast.For)):
        return not statement.orelse and all(
            isinstance(inner, ast.Raise) or _is_check(inner) for inner in statement.body
        )
    call = statement.value if isinstance(statement, ast.Expr) else None
    name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
    return name.startswith("check_")
