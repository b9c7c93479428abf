"""The command line: ``cnn-offset run | worker | sweep | check | import | registries | …``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path
from typing import Any

import click
import requests
from flask import Flask
from flask_migrate import upgrade

from cnn_offset import running, starting
from cnn_offset.app import utc_now
from cnn_offset.cli_application import application, with_app
from cnn_offset.cli_import import imports
from cnn_offset.cli_registries import registries
from cnn_offset.config import ConfigError
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import db
from cnn_offset.plugins import loader


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cnn-offset")
def cli() -> None:
    """Sell the voluntary cancellation of UN carbon units."""


cli.add_command(registries)
cli.add_command(imports)


@cli.command()
@click.option("--port", type=int, envvar="PORT", default=5000, show_default=True)
@click.option("--workers", type=int, default=2, show_default=True, help="Web processes.")
def run(port: int, workers: int) -> None:
    """Start web, worker and, for the demo, the sandbox; Ctrl-C ends all."""
    instance = Path.cwd() / "instance"
    demo = running.write_demo_config(instance, port, utc_now().date())
    wanted = [port, port + 1] if demo else [port]
    taken = [each for each in wanted if not running.is_free(each)]
    if taken:
        raise click.ClickException(
            f"port {taken[0]} is in use: stop what listens there, or choose another with PORT="
        )
    app = application()
    with app.app_context():
        upgrade()
        try:
            starting.check_needs(app.extensions["cnn_offset"], db.engine)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
    children = running.Processes({"PYTHONUNBUFFERED": "1"})
    here = f"http://127.0.0.1:{port}"
    try:
        if demo:
            sandbox = f"http://127.0.0.1:{port + 1}"
            children.start(
                "sandbox",
                [sys.argv[0], "sandbox", "--port", str(port + 1)],
            )
            running.wait_for(f"{sandbox}/")
            requests.post(
                f"{sandbox}/control/webhooks",
                json={
                    "paypal": f"{here}/hooks/paypal",
                    "stripe": f"{here}/hooks/stripe_connect",
                    "mail": f"{here}/hooks/mail",
                },
                timeout=10,
            ).raise_for_status()
            _load_demo(app)
        children.start("worker", [sys.argv[0], "worker"])
        children.start("web", running.granian(port, workers=workers))
        running.wait_for(f"{here}/health/live")
    except (TimeoutError, requests.RequestException) as error:
        children.stop()
        raise click.ClickException(str(error)) from error
    except BaseException:
        children.stop()
        raise
    click.secho(f"\n  The shop is at {here}/", bold=True)
    if demo:
        click.echo(f"  The sandbox (registries, processors, mailbox) is at {sandbox}/")
        click.echo(
            "  Staff of the demo: operator@demo.example; `cnn-offset demo accounts` lists all"
        )
    click.echo("  Ctrl-C ends everything.\n")
    children.watch()


@cli.command()
@click.option("--port", type=int, default=5001, show_default=True)
def sandbox(port: int) -> None:
    """Serve simulated registries, processors and a mailbox."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    from cnn_offset.sandbox import create_sandbox

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            """Leave the terminal to what matters."""

    state = Path.cwd() / "instance" / "sandbox.sqlite"
    server = make_server(
        "127.0.0.1", port, create_sandbox(str(state)), threaded=True, request_handler=Quiet
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


@cli.command()
def worker() -> None:
    """Do due work for ever: sweep the data, and follow RQ's bell if REDIS_URL is set."""
    app = application(starts=True)
    from cnn_offset import jobs

    stopping = threading.Event()

    def sweeps() -> None:
        with app.app_context():
            while not stopping.is_set():
                try:
                    jobs.sweep()
                except Exception:
                    app.logger.exception("a sweep failed")
                stopping.wait(app.extensions["cnn_offset"].settings.SWEEP_SECONDS)

    redis_url = app.extensions["cnn_offset"].settings.REDIS_URL
    if not redis_url:
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        signal.signal(signal.SIGINT, lambda *_: stopping.set())
        sweeps()
        return
    threading.Thread(target=sweeps, daemon=True).start()
    with app.app_context():
        jobs.follow_bell(redis_url)
    stopping.set()


@cli.command()
@with_app
def sweep() -> None:
    """Do what is due now, once."""
    from cnn_offset import jobs

    click.echo(f"{jobs.sweep()} tried")


@cli.command()
@with_app
def check() -> None:
    """Add everything up: units, money, cancellations, attestations. Exit 1 on any finding."""
    from cnn_offset.extensions import db, platform
    from cnn_offset.services.checking import check_all

    findings = check_all(db.session, platform().files)
    for finding in findings:
        click.echo(finding)
    if findings:
        sys.exit(1)
    click.echo("All adds up.")


@cli.command()
def plugins() -> None:
    """List installed plug-ins, which of them run under which name, and what needs one that
    does not.
    """
    app = application()
    here = app.extensions["cnn_offset"]
    for group, running_, retired in (
        (loader.PAYMENTS, here.payments, here.methods_retired),
        (loader.REGISTRIES, here.registries, here.registries_retired),
    ):
        click.secho(group, bold=True)
        for name, point in sorted(loader.installed(group).items()):
            names = [
                f"{key} (retired)" if key in retired else key
                for key, plugin in running_.items()
                if plugin.id == name
            ]
            state = f"runs as {', '.join(names)}" if names else "installed, not named"
            source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            click.echo(f"  {name:16} {state:32} {source}")
        for name in sorted(retired - running_.keys()):
            click.echo(f"  {name:16} {'retired, not installed':32}")
    with app.app_context():
        for line in starting.unmet(here, db.engine):
            click.secho(line, fg="red")


@cli.command()
@with_app
def migrate() -> None:
    """Bring the database to the newest schema."""
    upgrade()


@cli.group()
def demo() -> None:
    """Load the demo's data, or tell its accounts."""


@demo.command("load")
def demo_load() -> None:
    """Load providers, projects, blocks and offers; what is there already stays."""
    _load_demo(application())


def _load_demo(app: Flask) -> None:
    from cnn_offset.demo.load import load_demo
    from cnn_offset.extensions import platform, unit_of_work

    with app.app_context():
        click.echo(load_demo(unit_of_work, platform()))


@demo.command("accounts")
def demo_accounts() -> None:
    """Tell the demo's accounts, their password and their second factor."""
    from cnn_offset.demo.load import accounts

    try:
        sandbox = application().extensions["cnn_offset"].settings.SANDBOX_URL
    except click.ClickException:  # nothing is configured yet
        sandbox = ""
    for line in accounts(sandbox or "http://127.0.0.1:5001"):
        click.echo(line)


@cli.group()
def users() -> None:
    """Make accounts for staff."""


@users.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice(["operator", "provider", "purchaser"]), required=True)
@click.option("--provider", "provider_slug", help="Whose staff, for the role provider.")
@click.option(
    "--operator-role",
    type=click.Choice([each.value for each in OperatorRole]),
    default=OperatorRole.HEAD.value,
    show_default=True,
    help="What it may do at the desk, for the role operator.",
)
@click.password_option()
@with_app
def users_add(
    email: str, role: str, provider_slug: str | None, operator_role: str, password: str
) -> None:
    """Add an account that can sign in at once."""
    from cnn_offset.accounts import add_user
    from cnn_offset.extensions import platform, unit_of_work
    from cnn_offset.services import ServiceError

    try:
        with unit_of_work() as session:
            add_user(
                session,
                email=email,
                password=password,
                role=role,
                provider_slug=provider_slug,
                operator_role=OperatorRole(operator_role),
                now=platform().clock(),
            )
    except ServiceError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{email} can sign in.")


@users.command("reset-factor")
@click.argument("email")
@with_app
def users_reset_factor(email: str) -> None:
    """Remove the second factor of somebody who has lost it, and mail that it was done."""
    from cnn_offset.extensions import platform, unit_of_work
    from cnn_offset.services import factors, joining

    with unit_of_work() as session:
        user = joining.find_user(session, email)
        if user is None:
            raise click.ClickException(f"no account {email}")
        factors.turn_off(session, user, locale=user.locale, now=platform().clock(), actor=_person())
    click.echo(f"{email} can log in with the password alone, and set up a new second factor.")


@cli.group()
def orders() -> None:
    """What a provider does with orders paid by bank transfer."""


@orders.command("in-progress")
@click.argument("code")
@with_app
def orders_in_progress(code: str) -> None:
    """Mark a bank order as being dealt with."""
    from cnn_offset.extensions import platform, unit_of_work
    from cnn_offset.services import selling

    with unit_of_work() as session:
        selling.mark_in_progress(
            session, _order(session, code), actor=_person(), now=platform().clock()
        )
    click.echo("Marked.")


@orders.command("paid")
@click.argument("code")
@click.argument("amount")
@click.argument("currency")
@click.option("--bank-ref", required=True, help="The bank's own reference of the entry.")
@click.option("--on", "received_on", required=True, help="Value date, YYYY-MM-DD.")
@with_app
def orders_paid(code: str, amount: str, currency: str, bank_ref: str, received_on: str) -> None:
    """Record money that arrived for a bank order, such as ``paid ABC 12.50 USD``."""
    from cnn_offset.domain.money import Money
    from cnn_offset.extensions import platform, unit_of_work
    from cnn_offset.services import NotFoundError, ServiceError, banking

    try:
        with unit_of_work() as session:
            entry = banking.type_entry(
                session,
                _order(session, code),
                amount=Money.parse(amount, currency),
                bank_ref=bank_ref,
                received_on=date.fromisoformat(received_on),
                actor=_person(),
                second_from=0,
                now=platform().clock(),
            )
    except (ServiceError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except NotFoundError as error:
        raise click.ClickException(f"no bank order {code}") from error
    click.echo(f"Recorded: {entry.finding}.")


@cli.group()
def reports() -> None:
    """Count the figures anew, or write the Board report."""


@reports.command("rebuild")
@with_app
def reports_rebuild() -> None:
    """Count all figures anew from the orders, month by month."""
    from cnn_offset.domain.period import Period
    from cnn_offset.extensions import db, platform, unit_of_work
    from cnn_offset.services import noticing, tallying

    now = platform().clock()
    first = (tallying.first_day(db.session()) or now.date()).replace(day=1)
    with unit_of_work() as session:
        tallying.forget_outside(session, first, now.date())
        noticing.skip_history(session, now=now)
    month = Period.holding("month", first)
    while month.first <= now.date():
        with unit_of_work() as session:
            tallying.make_month(session, month, now=now)
        month = month.next
    click.echo(f"Counted from {first} to {now.date()}.")


@reports.command("board")
@click.option("--period", "code", required=True, help="Such as 2026-Q4, 2026-11 or 2026.")
@click.option("--lang", type=click.Choice(["en", "fr", "es"]), default="en", show_default=True)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Where the files are put.",
)
@with_app
def reports_board(code: str, lang: str, folder: Path) -> None:
    """Write the Board report of a period as PDF, workbook and CSV."""
    from flask_babel import force_locale

    from cnn_offset import figure_files, figure_tables
    from cnn_offset.domain.period import Period, PeriodError
    from cnn_offset.extensions import db, platform

    try:
        period = Period.parse(code)
    except PeriodError as error:
        raise click.ClickException(f"{code} names no period: write 2026-Q4, say") from error
    folder.mkdir(parents=True, exist_ok=True)
    with force_locale(lang):
        _, sections = figure_tables.board(db.session(), period)
        today = platform().clock().date()
        made = {
            "pdf": figure_files.pdf(sections, period, made_on=today),
            "xlsx": figure_files.workbook(sections, period),
            "csv": figure_files.csv_text(sections, period).encode(),
        }
    for ending, content in made.items():
        path = folder / f"report-{period.code}-{lang}.{ending}"
        path.write_bytes(content)
        click.echo(path)


def _order(session: Any, code: str) -> Any:
    from sqlalchemy import select

    from cnn_offset.models import Order

    found = session.scalar(select(Order).where(Order.code == code))
    if found is None:
        raise click.ClickException(f"no order {code}")
    return found


def _person() -> str:
    return f"command line ({os.environ.get('USER', 'unknown')})"
