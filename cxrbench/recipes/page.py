"""The recipes as a page of the docs."""

from __future__ import annotations

from collections.abc import Sequence

from cxrbench.recipes import Recipe

_HEAD = """<!-- Made by 'cxrbench recipes --markdown' from cxrbench/recipes/*.toml: change those. -->

# Recipes

Each published system is one TOML file that can be run, read and changed:

```console
$ cxrbench recipes                                   # what there is
$ cxrbench recipes show {first} > mine.toml{pad}# one, commented
$ cxrbench run --recipe {first} --data-root DIR
$ cxrbench run --recipe mine.toml --smoke            # few drawn images, one epoch: does it run?
```

Figures below are what the texts say, on their own test sets. They are not comparable with each other, and a
recipe is not known to reach them: the last section of each says what stands in the way. A, B, C and D are
what comments in the files call their sources.

| recipe | what it is | source |
|---|---|---|
"""


def page(recipes: Sequence[Recipe]) -> str:
    """A table of the recipes, and a section on each: what is published, what is not reproduced, and why."""
    first = recipes[0].name
    head = _HEAD.format(first=first, pad=" " * max(1, 17 - len(first)))
    rows = [
        f"| [`{r.name}`](#{r.name}) | {_cell(r.about.title)} | {_cell(r.about.source)} |" for r in recipes
    ]
    return head + "\n".join(rows) + "\n" + "".join(map(_section, recipes))


def _section(recipe: Recipe) -> str:
    about = recipe.about
    lines = [f"\n## {recipe.name}\n", f"{about.title}. Source: {about.source}.\n"]
    if about.published:
        figures = "; ".join(f"{name} {_figure(value)}" for name, value in about.published.items())
        lines.append(f"Published: {figures}.\n")
    if about.not_reproduced:
        lines += ["Not reproduced, and why:\n", *(f"- {text}" for text in about.not_reproduced), ""]
    return "\n".join(lines)


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.10g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
