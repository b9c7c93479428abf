"""What every plug-in's settings have in common."""

from pydantic import BaseModel, ConfigDict


class PluginSettings(BaseModel):
    """A plug-in's own part of the configuration; a key it does not know is an error.

    Secrets are typed ``SecretStr``, so that they do not show in logs or ``plugins``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
