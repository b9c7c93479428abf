"""The command line: ``cnn-offset registries list | rehearse | cutover | reconcile``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cnn_offset.cli_application import with_app
from cnn_offset.cli_cutover import cutover, list_
from cnn_offset.cli_reconcile import reconcile


@click.group()
def registries() -> None:
    """Registry connections through time: what each takes, and the move to a successor."""


registries.add_command(list_)
registries.add_command(cutover)
registries.add_command(reconcile)


@registries.command()
@click.option("--from", "first", type=click.DateTime(), help="Such as 2026-11-01; now if left out.")
@click.option("--to", "until", type=click.DateTime(), required=True, help="Such as 2027-03-31.")
@with_app
def rehearse(first: datetime | None, until: datetime) -> None:
    """Walk the clock over a copy of the data and tell day by day what will happen.

    Calls nothing outside and changes nothing. It assumes that nobody orders or pays meanwhile,
    and that registries do at once what they are asked. Exits with 1 if paid units are left
    uncancelled, or something does not add up.
    """
    from cnn_offset import rehearsing
    from cnn_offset.extensions import platform

    here = platform()
    begin = first.replace(tzinfo=UTC) if first else here.clock()
    try:
        result = rehearsing.rehearse(here, begin, until.replace(tzinfo=UTC))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not result.happenings:
        click.echo("Nothing happens.")
    for each in result.happenings:
        click.echo(f"{each.day}  {each.times:6}  {each.what}")
    click.echo("")
    for kind, names in result.waiting.items():
        click.echo(f"waits for a person, {kind.replace('_', ' ')}: {len(names)}")
        click.echo("    " + " ".join(names[:20]) + (" …" if len(names) > 20 else ""))
    for finding in result.findings:
        click.echo(f"does not add up: {finding}")
    if result.stuck:
        raise click.exceptions.Exit(1)
    click.echo("Nothing that is paid is left uncancelled, and all adds up.")
