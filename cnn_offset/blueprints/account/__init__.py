"""What somebody who is logged in finds: the own orders, the password, the second factor."""

from cnn_offset.blueprints.account import factors, leaving, own
from cnn_offset.blueprints.account.desk import bp

__all__ = ["bp", "factors", "leaving", "own"]
