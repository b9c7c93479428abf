"""The command line: ``cnn-offset registries list | cutover``."""

from __future__ import annotations

import click


@click.group()
def registries() -> None:
    """Registry connections through time: what each takes, and the move to a successor."""
