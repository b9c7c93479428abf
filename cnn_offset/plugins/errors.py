"""What a plug-in may raise, and what the core then believes."""

from datetime import timedelta


class PluginError(Exception):
    """Any failure of a call to the outside. Its text is for operators, without secrets.

    ``retry_after``: how long the other side asks to be left alone, if it says so.
    """

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(PluginError):
    """Nothing happened outside: the connection was refused or never made. Try again."""


class OutcomeUnknownError(PluginError):
    """No answer that can be believed: a time-out, a reset, a 5xx, a 429, nonsense.

    Something may have happened. Never an error and never a success: it is asked about.
    """


class RefusedError(PluginError):
    """The other side understood and said no. ``code`` is its own word for why."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class PayeeNotReadyError(RefusedError):
    """The provider's account cannot be paid; the provider must act, not the payer."""


class UnsupportedError(RefusedError):
    """The processor cannot express this amount or currency; nothing was sent."""


class ForgedError(PluginError):
    """A delivery whose sender cannot be believed, or that is too old."""


class PluginConfigError(Exception):
    """The configuration names a plug-in that cannot run; the text names the key."""
