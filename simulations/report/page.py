"""Renders a report as one HTML file that needs nothing else. Pure: the same report is the same bytes.

What is shown are names that anybody may have given to files and devices. Everything is escaped by the template engine,
characters that would not be seen, or would turn text around, are spelt out, and the page's own policy forbids scripts
and any loading.
"""

import unicodedata
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from simulations.report.layout import lay_out
from simulations.report.model import Report
from simulations.report.scale import bytes_shown, lasted

_JOINERS: Final = "\u200c\u200d"
_HIDDEN: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def render(report: Report) -> str:
    """The page."""
    return _page().render(page=lay_out(report), report=report, style=_file("page.css"))


def visible(text: str) -> str:
    """The text with every character spelt out that has no form of its own; line breaks and joiners stay."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        f"\\u{ord(one):04x}" if one not in _JOINERS + "\n" and unicodedata.category(one) in _HIDDEN else one
        for one in text
    )


def _shown(value: Any) -> Any:
    """What any expression of the template comes to. A plain string is text of the world's; markup has its own class."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return visible(value) if type(value) is str else value


@cache
def _page() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {"bytes": bytes_shown, "lasted": lasted}
    return environment.from_string(_file("page.html.j2"))


def _file(name: str) -> str:
    return (resources.files("simulations.report") / name).read_text(encoding="utf-8")
