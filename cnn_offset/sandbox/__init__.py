"""The outside, simulated over HTTP: registries, processors and a mailbox.

A second, separate WSGI app. The shop and the sandbox know nothing of each other's code.
"""

from .app import create_sandbox

__all__ = ["create_sandbox"]
