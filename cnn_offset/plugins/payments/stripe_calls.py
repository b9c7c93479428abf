"""Calls of Stripe's SDK, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import stripe

from cnn_offset.plugins.errors import OutcomeUnknownError, PayeeNotReadyError, RefusedError
from cnn_offset.plugins.payments.silence import silence

PAYEE_CODES: Final = frozenset(
    {"account_closed", "account_invalid", "charges_not_allowed", "testmode_charges_only"}
)


@contextmanager
def asking() -> Iterator[None]:
    """Turn what Stripe's SDK raises, and answers that lack something, into our errors."""
    try:
        yield
    except stripe.APIConnectionError as error:
        raise silence("Stripe", error) from None
    except stripe.StripeError as error:
        status = error.http_status or 0
        # Of a 403 the SDK keeps the code only in the body.
        code = str(error.code or getattr(error.error, "code", None) or "")
        text = f"Stripe: {code or type(error).__name__} ({status}, request {error.request_id})"
        # APIError is the SDK's word for what is not in Stripe's own form.
        is_clear = 400 <= status < 500 and not isinstance(error, stripe.APIError)
        if not is_clear or status in {408, 409, 429}:
            raise OutcomeUnknownError(text) from None
        if isinstance(error, stripe.PermissionError) or code in PAYEE_CODES:
            raise PayeeNotReadyError(text, code=code) from None
        raise RefusedError(text, code=code) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OutcomeUnknownError(f"Stripe's answer made no sense ({error})") from None
