"""The command ``cnn-offset registries reconcile``."""

from __future__ import annotations

import click

from cnn_offset.cli_application import with_app


@click.command()
@click.argument("name")
@with_app
def reconcile(name: str) -> None:
    """Compare our books with those of the registry NAME now, as every night.

    Exits with 1 if something differs or could not be compared.
    """
    from cnn_offset.comparing import compare_now
    from cnn_offset.extensions import platform
    from cnn_offset.models import NightStep

    here = platform()
    if name not in here.registries:
        raise click.ClickException(f"no registry {name!r}; there are {', '.join(here.registries)}")
    night = compare_now(here, name)
    if night.step is not NightStep.DONE:
        click.echo(f"Not done yet; the worker goes on. {night.last_error}".strip())
        raise click.exceptions.Exit(1)
    click.echo(f"cancellations that agree: {night.matched} ({night.matched_units} units)")
    click.echo(f"by other channels:        {night.elsewhere} ({night.elsewhere_units} units)")
    click.echo(f"blocks read:              {night.blocks} ({night.units} units)")
    click.echo(f"differences found:        {night.found}")
    if night.hindrance or night.words:
        click.echo(f"not compared: {night.hindrance or 'in part'} {night.words}".rstrip())
    if night.found or night.hindrance:
        raise click.exceptions.Exit(1)
