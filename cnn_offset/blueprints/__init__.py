"""The pages, by feature. A view parses, calls one service and renders or redirects."""

from __future__ import annotations

from importlib import import_module

from flask import Flask

LANG = "/<any(en, fr, es):lang>"

LOCALISED = (
    "home",
    "help",
    "contact",
    "catalogue",
    "basket",
    "checkout",
    "orders",
    "record",
    "figures",
    "reconciliation",
    "checking",
    "security",
    "account",
    "providers",
    "applying",
    "provider",
    "survey",
    "warned",
    "admin",
)
PLAIN = ("hooks", "health", "moved", "root")


def register_blueprints(app: Flask) -> None:
    """Register every blueprint: those with pages under the language, the others bare."""
    for name in LOCALISED + PLAIN:
        module = import_module(f"{__name__}.{name}")
        app.register_blueprint(module.bp, url_prefix=LANG if name in LOCALISED else None)
        if hasattr(module, "init_app"):
            module.init_app(app)
