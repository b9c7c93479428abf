"""What no answer means: a request that surely never left, or one that may have arrived."""

from __future__ import annotations

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from cnn_offset.plugins.errors import OutcomeUnknownError, PluginError, UnavailableError


def silence(processor: str, error: BaseException) -> PluginError:
    """Tell the two apart for an error of ``requests`` or of an SDK around it.

    Only a connection that was never made is "nothing happened"; requests reports a
    read time-out under the same class, so the cause underneath is looked for.
    """
    seen: set[int] = set()
    causes: list[object] = [error]
    while causes:
        cause = causes.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        if isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
            return UnavailableError(f"{processor} could not be reached")
        causes += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return OutcomeUnknownError(f"{processor} gave no answer ({type(error).__name__})")
