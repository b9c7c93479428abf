"""Placeholder until task A writes it."""


def issue_attestation(*args: object, **kwargs: object) -> None:
    raise NotImplementedError
