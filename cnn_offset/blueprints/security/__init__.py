"""Ways into an account: logging in, registering, new passwords, second factor, invitations.

All answers are the same whether an address has an account or not.
"""

from cnn_offset.blueprints.security import (
    invitations,
    passwords,
    second,
    signing_in,
)
from cnn_offset.blueprints.security.door import bp

__all__ = ["bp", "invitations", "passwords", "second", "signing_in"]
