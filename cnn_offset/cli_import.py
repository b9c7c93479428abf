"""The command line: ``cnn-offset import history | activities | blocks``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import click
from sqlalchemy.orm import Session

from cnn_offset.cli_application import with_app
from cnn_offset.models import ImportKind
from cnn_offset.services.importing import runs
from cnn_offset.services.importing.activities import Activities
from cnn_offset.services.importing.blocks import Blocks
from cnn_offset.services.importing.faults import FileFaultError
from cnn_offset.services.importing.history import History
from cnn_offset.services.importing.kinds import Kind
from cnn_offset.services.importing.layout import Layout, lay_out
from cnn_offset.services.importing.plans import read_plan
from cnn_offset.services.importing.reading import survey
from cnn_offset.services.importing.refusals import RefusedRows, write_refused
from cnn_offset.services.importing.runs import Report

_EVERY = 10_000
"""Rows between two lines that tell how far the import is."""


@click.group("import")
def imports() -> None:
    """Bring in files: what the earlier platform cancelled, registries' reports.

    CSV (UTF-8, UTF-16, Windows-1252) or XLSX. --mapping names a small TOML file that says how
    columns are called and what cells mean. Whoever is stopped runs the same command again: it
    goes on where it was, and what is there already is seen.

    Exits with 1 if rows were refused; they are in FILE.refused.csv, with reasons, to be mended
    and imported.
    """


def _command(kind: ImportKind, about: str) -> None:
    @imports.command(kind.value, help=about)
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A TOML file: columns, values, keep, defaults, sheet, encoding, delimiter, date_format.",
    )
    @click.option("--registry", help="The registry connection.  [default: the mapping's, or cdm]")
    @click.option("--dry-run", is_flag=True, help="Check all, write nothing.")
    @click.option(
        "--refused",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where refused rows are written.  [default: FILE.refused.csv; nowhere in a dry run]",
    )
    @with_app
    def command(
        file: Path, mapping: Path | None, registry: str | None, dry_run: bool, refused: Path | None
    ) -> None:
        try:
            report = _import(kind, file, mapping, registry, dry_run=dry_run, refused=refused)
        except FileFaultError as error:
            raise click.ClickException(str(error)) from error
        if report.refused:
            raise click.exceptions.Exit(1)


_command(ImportKind.HISTORY, "Bring in cancellations of the earlier platform.")
_command(ImportKind.ACTIVITIES, "Register projects from a registry's report.")
_command(ImportKind.BLOCKS, "Bring in issuances, by which imported cancellations are checked.")


def _import(
    kind: ImportKind,
    file: Path,
    mapping: Path | None,
    registry: str | None,
    *,
    dry_run: bool,
    refused: Path | None,
) -> Report:
    from cnn_offset.extensions import db, platform, unit_of_work

    plan = read_plan(mapping)
    registry_id = registry or plan.registry or "cdm"
    here = platform()
    if registry_id not in here.settings.REGISTRIES:
        known = ", ".join(here.settings.REGISTRIES)
        raise FileFaultError(f"there is no registry connection “{registry_id}”, only {known}")
    importer = _kind(kind, registry_id)
    layout = lay_out(survey(file, plan), importer.columns)
    tell = _telling()
    if dry_run:
        with RefusedRows(refused, layout) if refused else nullcontext() as table:
            report = runs.try_out(
                _reading,
                importer,
                layout,
                actor=_person(),
                clock=here.clock,
                keep=table.add if table else lambda _row, _why: None,
                tell=tell,
            )
        written = refused if report.refused else None
    else:
        report = runs.bring_in(
            unit_of_work,
            importer,
            layout,
            registry_id=registry_id,
            actor=_person(),
            clock=here.clock,
            tell=tell,
        )
        written = _refused(db.session(), layout, report, refused or _beside(file))
    _show(report, written, dry_run=dry_run)
    return report


def _kind(kind: ImportKind, registry_id: str) -> Kind:
    from flask_babel import force_locale

    from cnn_offset.blueprints.admin.activity_tables import words_known
    from cnn_offset.i18n import countries

    with force_locale("en"):
        if kind is ImportKind.ACTIVITIES:
            words = words_known("")
            # A report of the registry does not tell it; “” means that, and is said.
            told = replace(words, technologies={**words.technologies, "": ""})
            return Activities(registry_id, told)
        parties = frozenset(code for code, _ in countries("en"))
    return (
        History(registry_id, parties)
        if kind is ImportKind.HISTORY
        else Blocks(registry_id, parties)
    )


@contextmanager
def _reading() -> Iterator[Session]:
    from cnn_offset.extensions import db

    session = db.session()
    session.rollback()
    try:
        yield session
    finally:
        session.rollback()


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.refused.csv")


def _refused(session: Session, layout: Layout, report: Report, path: Path) -> Path | None:
    if not report.refused or report.run_id is None:
        return None
    try:
        write_refused(session, report.run_id, layout, path)
    except OSError as error:
        click.echo(f"The refused rows could not be written to {path}: {error.strerror}", err=True)
        return None
    finally:
        session.rollback()
    return path


def _telling() -> Callable[[Report], None]:
    begun, last, first = time.monotonic(), 0, None

    def tell(report: Report) -> None:
        nonlocal last, first
        if first is None:
            first = report.read
        if report.read // _EVERY == last // _EVERY:
            return
        last = report.read
        spent = time.monotonic() - begun
        click.echo(
            f"{report.read:,} rows read: {report.accepted:,} accepted, {report.known:,} there "
            f"already, {report.refused:,} refused, {report.skipped:,} skipped "
            f"({(report.read - first) / spent:,.0f} a second)"
        )

    return tell


def _show(report: Report, written: Path | None, *, dry_run: bool) -> None:
    if report.resumed_after:
        click.echo(f"Went on after row {report.resumed_after:,}.")
    would = "would be " if dry_run else ""
    for count, what in (
        (report.read, "rows read"),
        (report.accepted, f"{would}accepted"),
        (report.unchecked, "of these not checked by an issuance: none of their project is known"),
        (report.known, "there already"),
        (report.refused, f"{would}refused"),
        (report.skipped, "skipped: not kept by the mapping"),
        (report.warned, "taken, but odd"),
    ):
        if count or what in ("rows read", f"{would}accepted"):
            click.echo(f"{count:>12,}  {what}")
    for title, shown, count in (
        ("Refused", report.refusals, report.refused),
        ("Odd", report.warnings, report.warned),
    ):
        for each in shown:
            click.echo(f"{title}: row {each.number}: {each.what}")
        if count > len(shown):
            click.echo(f"… and {count - len(shown):,} more.")
    if written is not None:
        click.echo(f"All refused rows, with reasons: {written}")
    if dry_run:
        click.echo("Nothing was written: this was a dry run.")


def _person() -> str:
    return f"command line ({os.environ.get('USER', 'unknown')})"
