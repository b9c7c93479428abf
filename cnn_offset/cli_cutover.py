"""The command line: ``cnn-offset registries list | cutover``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cnn_offset.cli_application import with_app

if TYPE_CHECKING:
    from cnn_offset.services.cutover_reading import Plan
    from cnn_offset.services.cutover_steps import Outside

POLL = 5.0
"""Seconds after which what was in flight is looked at again."""


@click.command("list")
@with_app
def list_() -> None:
    """List the registry connections: what each takes now, its dates, what is in flight."""
    from cnn_offset.extensions import db, platform
    from cnn_offset.services import cutover_reading, cutover_steps

    here = platform()
    now, moving = here.clock(), cutover_steps.running(db.session())
    rows = []
    for name, dates in here.dates_for_new.items():
        phase = dates.phase(now).replace("_", " ")
        in_flight = cutover_reading.in_flight(db.session(), name)
        rows.append(
            (
                name,
                f"{phase} ({dates.pause})" if dates.pause else phase,
                *(
                    _day(each)
                    for each in (
                        dates.opens,
                        dates.last_order,
                        dates.last_cancellation,
                        dates.closed,
                    )
                ),
                str(in_flight),
            )
        )
    _table(
        ("connection", "takes", "opens", "last order", "last cancel.", "closed", "in flight"),
        rows,
        right=1,
    )
    if moving is not None:
        click.echo(
            f"\nA cut-over runs: {moving.old_id} to {moving.new_id}, "
            f"{moving.status} since {moving.stepped_at:%Y-%m-%d %H:%M} UTC."
        )


@click.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--plan", "what", flag_value="plan", default="plan", help="Only say what will be.")
@click.option("--freeze", "what", flag_value="freeze", help="Take no new orders of OLD, and stop.")
@click.option("--go", "what", flag_value="go", help="Do it; again to go on where it stopped.")
@click.option("--give-up", "what", flag_value="give-up", help="End it; only if nothing has moved.")
@click.option(
    "--wait",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="Seconds to wait for what is in flight before --go stops.",
)
@with_app
def cutover(old: str | None, new: str | None, what: str, wait: int) -> None:
    """Move holdings, offers and open orders from connection OLD to its successor NEW.

    New orders of OLD are paused, what is in flight there is waited for, every block is
    matched with its successor by NEW's own cross-reference, everything is moved, sums are
    compared, and orders are taken again. Exits with 1 and a list if anything does not
    match (nothing is moved then) and with 2 if something is in flight still.
    """
    from cnn_offset.plugins.errors import PluginError
    from cnn_offset.services.cutover_steps import CutoverError

    try:
        _do(old, new, what, wait)
    except CutoverError as error:
        raise click.ClickException(str(error)) from error
    except PluginError as error:
        raise click.ClickException(
            f"a registry did not answer ({error}): nothing was concluded, give the command again"
        ) from error


def _do(old: str | None, new: str | None, what: str, wait: int) -> None:
    from cnn_offset.extensions import unit_of_work
    from cnn_offset.services import cutover as service
    from cnn_offset.services.cutover_steps import Outcome

    outside, actor = _outside(), f"command line ({os.environ.get('USER', 'unknown')})"
    if what == "give-up":
        service.give_up(unit_of_work, outside, actor=actor)
        click.echo("Given up: nothing has moved, and orders are taken as before.")
        return
    if not old or not new:
        raise click.UsageError("name both connections, such as: cutover a64_interim a64_final")
    if what == "plan":
        _show(service.plan(unit_of_work, old, new, outside))
        return
    if what == "freeze":
        service.freeze(unit_of_work, old, new, outside, actor=actor)
        click.echo(f"{old} takes no new orders. Go on with --go, or end it with --give-up.")
        return
    until = time.monotonic() + wait
    while True:
        result = service.go(unit_of_work, old, new, outside, actor=actor)
        if result.outcome is not Outcome.WAITS or time.monotonic() + POLL > until:
            break
        time.sleep(POLL)
    for each in result.words:
        click.echo(f"  {each}")
    if result.outcome is Outcome.DONE and result.status is None:
        return
    if result.outcome is Outcome.DONE:
        click.echo(
            f"Done. {old} takes no new orders: its last order is set to now. {new} takes them."
        )
        return
    if result.outcome is Outcome.WAITS:
        click.echo("Waiting for these; give the command again. New orders stay paused.")
        raise click.exceptions.Exit(2)
    if result.status is None:
        click.echo("These do not match, so nothing was begun.")
    else:
        click.echo(
            f"These do not match. It stands at {result.status}, new orders stay paused: mend "
            "them and give --go again, or end it with --give-up if nothing has moved."
        )
    raise click.exceptions.Exit(1)


def _outside() -> Outside:
    from cnn_offset.extensions import db, platform
    from cnn_offset.services.checking import check_all
    from cnn_offset.services.cutover_steps import Outside

    here = platform()

    def check() -> Sequence[str]:
        db.session.rollback()
        return check_all(db.session(), here.files)

    return Outside(here.registries, here.registry_dates, here.clock, check, click.echo)


def _show(plan: Plan) -> None:
    _table(("account", "new account"), plan.accounts)
    click.echo("")
    _table(("project", "new number"), plan.activities)
    click.echo("")
    total = [sum(row[at] for row in plan.rows) for at in (3, 4, 5, 6)]  # type: ignore[misc]
    _table(
        ("account", "block", "successor", "units", "on offer", "unpaid", "paid"),
        [
            *(tuple(map(str, row)) for row in plan.rows),
            ("all", str(len(plan.rows)), "", *map(str, total)),
        ],
        right=4,
    )
    click.echo("")
    if not plan.findings:
        click.echo("All matches. Nothing has been changed; do it with --go.")
        return
    for each in plan.findings:
        click.secho(f"  {each}", fg="red")
    click.echo(f"{len(plan.findings)} do not match. Nothing has been changed.")
    raise click.exceptions.Exit(1)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "–"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 0) -> None:
    """Print columns, the last ``right`` of them set to the right."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    for line in lines:
        cells = [
            text.rjust(width) if at >= len(head) - right else text.ljust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
