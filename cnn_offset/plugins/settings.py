"""What every plug-in's settings have in common."""

from pydantic import BaseModel, ConfigDict, ValidationError


class PluginSettings(BaseModel):
    """A plug-in's own part of the configuration; a key it does not know is an error.

    Secrets are typed ``SecretStr``, so that they do not show in logs or ``plugins``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


def describe(error: ValidationError, prefix: str = "") -> str:
    """Say in one line which key is wrong and why, without repeating its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    key = ".".join([prefix] * bool(prefix) + [str(part) for part in first["loc"]])
    if first["type"] == "extra_forbidden":
        return f"{key}: there is no such setting"
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}"
