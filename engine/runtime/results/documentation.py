"""The page that lists all contents of results.h5, made from the schema.

`python -m redoxmc.engine.runtime.results.documentation > docs/results_file.md` writes it.
"""

from collections.abc import Iterator
from inspect import cleandoc

from .run import Attributes, group_classes
from .schema import Group, attribute_fields, layouts, parts

ABSENT = " \\*"
HEAD = """\
# Contents of `results.h5`

This page is made from the schema in `engine/runtime/results/`; a test holds it current.

- Every dataset has the attributes `units` and `long_name`, and its dimensions as dimension scales.
- ± marks datasets with a standard error, in the dataset `NAME_error` with the same dimensions and unit.
- \\* marks what is absent where it was not computed.
- `{ion}` stands for the name of an ion: with several ions, the datasets `x_{ion}` take the place of `x`, and likewise others.
"""


def page() -> str:
    """The text of the page, in Markdown."""
    sections = [
        HEAD,
        "\n".join(["## Attributes of the root", "", cleandoc(Attributes.__doc__ or ""), "", *_attributes(Attributes)]),
    ]
    names: dict[type[Group], list[str]] = {}
    for name, cls in group_classes().items():
        names.setdefault(cls, []).append(f"`/{name}`")
    for cls, own in names.items():
        lines = [f"## {', '.join(own)}", "", cleandoc(cls.__doc__ or ""), ""]
        lines += ["| dataset | over | unit | content |", "|---|---|---|---|", *_rows(cls), ""]
        attributes = _attributes(cls)
        sections.append("\n".join([*lines, *(["Attributes:", "", *attributes] if attributes else [])]))
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _rows(cls: type[Group], prefix: str = "", words: str = "", absent: bool = False) -> Iterator[str]:
    found = layouts(cls, prefix, words)
    with_error = {layout.name.removesuffix("_error") for layout in found if layout.name.endswith("_error")}
    for layout in found:
        if not layout.name.endswith("_error"):
            marks = " ±" * (layout.name in with_error) + ABSENT * (absent or layout.optional)
            over = "itself" if layout.dims == (layout.name,) else ", ".join(layout.dims)
            content = layout.long_name.replace("|", "\\|")
            yield f"| `{layout.name}`{marks} | {over} | {layout.units} | {content} |"
    for _, inner, spec, optional in parts(cls):
        yield from _rows(inner, prefix + spec.prefix, spec.words, absent or optional)


def _attributes(cls: type[Group], prefix: str = "", words: str = "", absent: bool = False) -> list[str]:
    rows = [
        f"- `{prefix}{name}`{ABSENT * (absent or optional)}: {spec.long_name.replace('{words}', words)}"
        for name, spec, optional in attribute_fields(cls)
    ]
    for _, inner, described, optional in parts(cls):
        rows += _attributes(inner, prefix + described.prefix, described.words, absent or optional)
    return rows


if __name__ == "__main__":
    print(page(), end="")
