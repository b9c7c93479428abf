"""The application that a command of the command line runs in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from flask import Flask

from cnn_offset.app import create_app
from cnn_offset.config import ConfigError


def application(*, starts: bool = False) -> Flask:
    """Make the configured application; what is wrong with the configuration ends the command.

    ``starts``: to serve or to work, so that no plug-in may be left out that is still needed.
    """
    try:
        return create_app(checks_needs=starts)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def with_app(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run ``command`` inside the configured application."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with application().app_context():
            return command(*args, **kwargs)

    return wrapped
