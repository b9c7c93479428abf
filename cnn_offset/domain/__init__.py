"""Pure values and rules: no Flask, no SQLAlchemy, no clock, no input or output."""
