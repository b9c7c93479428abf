"""The catalogue with 100 and with 100,000 offers against a bare view of the same page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask, g, render_template, template_rendered

from cnn_offset import app as real
from cnn_offset import i18n
from cnn_offset.catalogue_index import shelf
from tests.bench.measure import cpu, getter, table
from tests.bench.shop import fill, make_app

SIZES = (100, 100_000)
PAGE = "/en/projects"
FILTERED = "/en/projects?tonnes=100&currency=USD&sort=price"


def run(folder: Path) -> None:
    """Measure and print."""
    apps, subjects = {}, {}
    for size in SIZES:
        apps[size] = app = make_app(folder / f"catalogue-{size}")
        fill(app, size)
        plain, filtered = getter(app, PAGE), getter(app, FILTERED)
        subjects[f"bare {size}"] = getter(bare(app, PAGE), PAGE)
        subjects[f"page {size}"] = plain
        subjects[f"new address {size}"] = forgetful(app, plain)
        subjects[f"bare filtered {size}"] = getter(bare(app, FILTERED), FILTERED)
        subjects[f"filtered {size}"] = filtered
        subjects[f"new filtered {size}"] = forgetful(app, filtered)
        subjects[f"activity {size}"] = getter(app, "/en/projects/activity-7")
    for call in subjects.values():
        call()
    took = cpu(subjects, rounds=15, each=8)

    small, large = SIZES
    rows = []
    for name, bare_name, text in (
        ("page", "bare", "all projects, asked before"),
        ("new address", "bare", "all projects, counted afresh"),
        ("filtered", "bare filtered", "two filters, by price, asked before"),
        ("new filtered", "bare filtered", "two filters, by price, counted afresh"),
    ):
        one, many = took[f"{name} {small}"], took[f"{name} {large}"]
        rows.append(
            [
                text,
                took[f"{bare_name} {small}"],
                one,
                one / took[f"{bare_name} {small}"],
                took[f"{bare_name} {large}"],
                many,
                many / took[f"{bare_name} {large}"],
                many / one,
            ]
        )
    table(
        "Catalogue page, 24 cards, filters with counts, anonymous: CPU ms "
        "(bare: the same template from memory, plain Flask, no translation)",
        ["", "bare", "100", "x bare", "bare", "100,000", "x bare", "100,000 / 100"],
        rows,
    )
    table(
        "Activity page: CPU ms",
        ["", "100", "100,000", "ratio"],
        [
            [
                "one project with its offers",
                took[f"activity {small}"],
                took[f"activity {large}"],
                took[f"activity {large}"] / took[f"activity {small}"],
            ]
        ],
    )


def forgetful(app: Flask, get: Callable[[], bytes]) -> Callable[[], bytes]:
    """Ask as if nobody had asked for the same address since the catalogue was read."""

    def ask() -> bytes:
        with app.app_context():
            index = shelf().index
            index._found.cache_clear()
            index._counted.cache_clear()
        return get()

    return ask


def bare(app: Flask, path: str) -> Flask:
    """Return a plain Flask application whose one view renders ``path``'s page from memory."""
    contexts: list[dict[str, Any]] = []

    def keep(_app: Flask, context: dict[str, Any], **_: object) -> None:
        contexts.append(context)

    with template_rendered.connected_to(keep, app):
        getter(app, path)()
    own = {"asked", "found", "cards", "groups", "chips", "sorts", "here", "address_of"}
    memory = {name: value for name, value in contexts[-1].items() if name in own}

    plain = Flask("bare", root_path=str(Path(real.__file__).parent))
    plain.config.update(SANDBOX=False, SITE_NAME="", CONTACT_EMAIL="")
    plain.jinja_env.add_extension("jinja2.ext.i18n")
    plain.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    plain.jinja_env.filters.update(
        number=lambda value: i18n.number(value, "en"),
        money=lambda value: i18n.money_text(value.minor, value.currency, "en"),
    )
    urls = [(code, name, PAGE) for code, name in i18n.LANGUAGES.items()]
    plain.jinja_env.globals.update(
        lang="en",
        lang_urls=lambda: urls,
        basket_count=lambda: 0,
        current_user=SimpleNamespace(is_authenticated=False),
    )
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in {"static", "catalogue.index"}:
            plain.add_url_rule(rule.rule, rule.endpoint, lambda **_: "")

    @plain.get(PAGE, endpoint="catalogue.index")
    def view() -> str:
        g.lang = "en"
        card = plain.jinja_env.get_template("components/page.html").module.card  # type: ignore[attr-defined]
        return render_template(
            "catalogue/index.html", drawn=lambda each: card(level=3, **each), **memory
        )

    @plain.url_defaults
    def put(endpoint: str, values: dict[str, Any]) -> None:
        if plain.url_map.is_endpoint_expecting(endpoint, "lang"):
            values["lang"] = "en"

    return plain
