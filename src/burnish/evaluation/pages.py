"""Shared parts of the HTML pages: escaping, number formats, style, the one script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import burnish
from burnish.evaluation.record import Interval
from burnish.evaluation.summary import percent
from burnish.files import printable


def render(template: str, script: str | None = None, **values: Any) -> str:
    """Fill a page template; `script` names the one script that the page may run.

    Everything is escaped, as file names and kinds come from outside. In case one ever is not, the
    page's content security policy allows no script but the one whose hash it names.
    """
    environment = Environment(
        loader=PackageLoader("burnish.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "words": unbroken,
        "number": number,
        "duration": duration,
        "interval": interval,
        "short": short,
        "printable": lambda value: printable(str(value)),
    }
    source = "" if script is None else _source(environment, script)
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(
        style=Markup(_source(environment, "style.css")),
        script=Markup(source),
        script_rule=f"'sha256-{digest}'" if source else "'none'",
        version=burnish.__version__,
        **values,
    )


def unbroken(text: str) -> str:
    """A sentence whose numbers stay on one line with their "%"."""
    return text.replace(" %", "\u00a0%")


def number(value: float | None, digits: int = 3) -> str:
    """Fixed decimals for shares, metrics and times; "n/a" for None."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def interval(pair: Interval | None, digits: int = 3) -> str:
    """ "0.812 to 0.897"; "" for None."""
    return "" if pair is None else f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}"


def short(value: float) -> str:
    """Four digits, without an exponent where a person would not write one."""
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e" in text and 1 <= abs(value) < 1e9 else text


def duration(seconds: float | None) -> str:
    """Seconds in the unit that reads best; "n/a" for None."""
    if seconds is None:
        return "n/a"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def facts(entry: Mapping[str, Any]) -> dict[str, str]:
    """The single values of an entry of the card, as text; long lists become their length."""
    shown = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            continue
        if isinstance(value, list | tuple) and len(value) > 6:
            shown[name] = f"{len(value)} entries"
        else:
            shown[name] = plain(value)
    return {name.replace("_", " "): text for name, text in shown.items()}


def plain(value: Any) -> str:
    """Any setting or fact as a short text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], ()):
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, list | tuple) for item in value)
        return ("; " if nested else ", ").join(
            " × ".join(map(str, item)) if isinstance(item, list | tuple) else plain(item)
            for item in value
        )
    return printable(str(value))


def _percent(rate: float | None) -> str:
    return unbroken(percent(rate))


def _source(environment: Environment, name: str) -> str:
    """A template's text, unchanged: the hash must be of the very bytes that the browser sees."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip() + "\n"
