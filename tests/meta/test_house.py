"""The project's own rules, kept by tests."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cnn_offset"
LAYERS = {
    "domain": set(),
    "models": {"domain"},
    "services": {"domain", "models", "plugins"},
    "plugins": {"domain"},
    "sandbox": set(),
    "testing": {"domain", "plugins"},
}


def sources(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_import_downwards_only(layer: str) -> None:
    allowed = LAYERS[layer] | {layer}
    for path in sources(layer):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "cnn_offset" and len(parts) > 1:
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_services_know_no_flask_and_no_concrete_plugin() -> None:
    for path in sources("domain", "services"):
        for name in imports(path):
            assert name.split(".")[0] != "flask", path
            if name.startswith("cnn_offset.plugins.payments"):
                assert name == "cnn_offset.plugins.payments.base", path
            if name.startswith("cnn_offset.plugins.registries"):
                assert name == "cnn_offset.plugins.registries.base", path


def test_the_domain_is_pure() -> None:
    for path in sources("domain"):
        assert not {name.split(".")[0] for name in imports(path)} & {
            "flask", "sqlalchemy", "requests", "os", "time", "random", "secrets",
        }, path  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "folders", "why"),
    [
        (
            r"\.commit\(\)",
            ("domain", "models", "services", "plugins", "blueprints"),
            "one owner of the commit",
        ),
        (
            r"\.status *= *[A-Za-z]",
            ("models", "services", "blueprints"),
            "only move writes a status",
        ),
        (
            r"datetime\.(now|utcnow)\(|time\.time\(|date\.today\(",
            ("domain", "models", "services", "plugins", "blueprints"),
            "the clock is passed in",
        ),
        (
            r"\bfloat\(",
            ("domain", "models", "services", "plugins"),
            "no float near money and units",
        ),
        (r"TODO|FIXME|XXX|NotImplementedError", ("",), "nothing half done"),
        (r"\|\s*safe\b|Markup\(", ("blueprints", "templates"), "escaped everywhere"),
    ],
)
def test_what_is_not_written_here(pattern: str, folders: tuple[str, ...], why: str) -> None:
    paths = [
        path
        for folder in folders
        for path in (PACKAGE / folder).rglob("*")
        if path.suffix in {".py", ".html"} and "sandbox" not in path.parts
    ]
    assert paths
    for path in paths:
        if why == "escaped everywhere" and path.name == "cards.py":
            # Puts cards together that our own template has drawn, and escaped.
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not re.search(pattern, line), f"{path.relative_to(ROOT)}:{number}: {why}"


def test_top_level_is_as_agreed() -> None:
    import subprocess

    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    assert top <= {
        "pyproject.toml", "cnn_offset", "instance", "tests", "Makefile", "README.md",
        "CHANGELOG.md", "requirements.lock", ".ci", ".gitignore", "examples", "docs",
    }  # fmt: skip


def test_declared_entry_points_are_installed() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for group, points in declared.items():
        known = {point.name: point.value for point in entry_points(group=group)}
        for name, value in points.items():
            assert known.get(name) == value, f"{group}: {name}; install the package again"


def test_every_setting_is_in_the_readme() -> None:
    from cnn_offset.config import Settings

    readme = (ROOT / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name}`" in readme, name


def test_every_interface_method_is_in_the_plugin_guide() -> None:
    from cnn_offset.plugins.payments.base import PaymentPlugin, ProcessorPlugin
    from cnn_offset.plugins.registries.base import RegistryConnector

    guide = (PACKAGE / "plugins" / "README.md").read_text()
    for kind in (PaymentPlugin, ProcessorPlugin, RegistryConnector):
        for name in vars(kind):
            if not name.startswith("_"):
                assert f"`{name}" in guide, f"{kind.__name__}.{name}"


def test_files_stay_small() -> None:
    for path in sources("."):
        if "migrations" not in path.parts:
            assert len(path.read_text().splitlines()) <= 600, path


def test_migrations_equal_models(any_app) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from cnn_offset.extensions import db
    from cnn_offset.models import Model

    with any_app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Model.metadata) == []
