"""PayPal's SDK with what it lacks: any base address, a shared token, errors that can be read.

The SDK covers orders, captures and refunds; webhooks and disputes are called through its
own request builder (payments-facts.md 1.4, 1.6).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
from apimatic_core.authentication.multiple.single_auth import (  # type: ignore[import-untyped]
    Single,
)
from apimatic_core.request_builder import RequestBuilder  # type: ignore[import-untyped]
from apimatic_core.response_handler import ResponseHandler  # type: ignore[import-untyped]
from apimatic_core.types.parameter import Parameter  # type: ignore[import-untyped]
from paypalserversdk.api_helper import APIHelper  # type: ignore[import-untyped]
from paypalserversdk.configuration import (  # type: ignore[import-untyped]
    Configuration,
    Server,
)
from paypalserversdk.controllers.base_controller import (  # type: ignore[import-untyped]
    BaseController,
)
from paypalserversdk.exceptions.api_exception import (  # type: ignore[import-untyped]
    ApiException,
)
from paypalserversdk.exceptions.error_exception import (  # type: ignore[import-untyped]
    ErrorException,
)
from paypalserversdk.http.auth.o_auth_2 import (  # type: ignore[import-untyped]
    ClientCredentialsAuthCredentials,
)
from paypalserversdk.http.http_method_enum import (  # type: ignore[import-untyped]
    HttpMethodEnum,
)
from paypalserversdk.paypal_serversdk_client import (  # type: ignore[import-untyped]
    PaypalServersdkClient,
)

from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PayeeNotReadyError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.payments.silence import silence

PAYEE_ISSUES: Final = frozenset(
    {
        # Has not, or no longer, permitted the platform's fee.
        "CONSENT_NEEDED",
        "PLATFORM_FEES_NOT_SUPPORTED",
        "PAYEE_ACCOUNT_INVALID",
        "PAYEE_ACCOUNT_LOCKED_OR_CLOSED",
        "PAYEE_ACCOUNT_NOT_SUPPORTED",
        "PAYEE_ACCOUNT_NOT_VERIFIED",
        "PAYEE_ACCOUNT_RESTRICTED",
        "PAYEE_BLOCKED_TRANSACTION",
        "PAYEE_NOT_CONSENTED",
        "PAYEE_NOT_ENABLED_FOR_CARD_PROCESSING",
        "TRANSACTION_RECEIVING_LIMIT_EXCEEDED",
    }
)
_NOT_AN_ANSWER: Final = frozenset({408, 409, 429})
"""409 says that the same request is still at work."""


class GoneError(RefusedError):
    """PayPal does not know what was asked for; ``at`` is its clock."""

    def __init__(self, message: str, *, code: str, at: datetime) -> None:
        super().__init__(message, code=code)
        self.at = at


class PayPalClient:
    """The calls this platform makes; each answers with PayPal's JSON as text.

    Shared by threads. No call retries. Every error is a :class:`PluginError` without
    secrets in its text.
    """

    def __init__(
        self, *, base_url: str, client_id: str, secret: str, partner: str, timeout: float
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._credentials = (client_id, secret)
        self._timeout = timeout
        self._common = {"paypal_partner_attribution_id": partner or None}
        self._lock = threading.Lock()
        self._token: Any = None
        self._sdk = self._connect()

    def create_order(self, body: dict[str, Any], *, request_id: str) -> str:
        """Create an order; within six hours the same ``request_id`` gives the same one."""
        options = {
            "body": body,
            "paypal_request_id": request_id,
            "prefer": "return=representation",
        }
        return self._call(lambda: self._sdk.orders.create_order(options | self._common))

    def get_order(self, order_id: str) -> str:
        """Read an order."""
        return self._call(lambda: self._sdk.orders.get_order({"id": order_id}))

    def capture_order(self, order_id: str, *, request_id: str) -> str:
        """Take the approved money; the only call that does."""
        options = {
            "id": order_id,
            "paypal_request_id": request_id,
            "prefer": "return=representation",
        }
        return self._call(lambda: self._sdk.orders.capture_order(options))

    def get_capture(self, capture_id: str) -> str:
        """Read a capture."""
        options = {"capture_id": capture_id}
        return self._call(lambda: self._sdk.payments.get_captured_payment(options))

    def refund(self, capture_id: str, body: dict[str, Any], *, request_id: str) -> str:
        """Give back money of a capture; PayPal keeps ``request_id`` for 45 days."""
        options = {
            "capture_id": capture_id,
            "body": body,
            "paypal_request_id": request_id,
            "prefer": "return=representation",
        }
        return self._call(lambda: self._sdk.payments.refund_captured_payment(options))

    def get(self, path: str, query: dict[str, str] | None = None) -> str:
        """Read what the SDK has no method for."""
        return self._call(lambda: self._raw(HttpMethodEnum.GET, path, query=query or {}))

    def post(self, path: str, body: str) -> str:
        """Send JSON text, to the letter, to what the SDK has no method for."""
        return self._call(lambda: self._raw(HttpMethodEnum.POST, path, body=body))

    def forget_token(self) -> None:
        """Ask for a new token before the next call."""
        with self._lock:
            self._token, self._sdk = None, self._connect()

    def _connect(self) -> Any:
        configuration = _Configuration(
            timeout=self._timeout,
            client_credentials_auth_credentials=ClientCredentialsAuthCredentials(
                *self._credentials,
                o_auth_token_provider=self._provide_token,
                o_auth_clock_skew=60,
            ),
        )
        configuration.base_url = self._base_url
        # A redirected POST would be sent twice or turned into a GET.
        configuration.http_client.session.max_redirects = 0
        return PaypalServersdkClient(config=configuration)

    def _provide_token(self, _last: Any, auth: Any) -> Any:
        with self._lock:
            if self._token is None or auth.is_token_expired(self._token):
                try:
                    self._token = auth.fetch_token()
                except ApiException as error:
                    if error.response_code in {400, 401, 403}:
                        raise RefusedError(
                            "PayPal does not accept our client id and secret",
                            code="invalid_client",
                        ) from None
                    raise UnavailableError("PayPal gives no token") from None
                except Exception as error:
                    # Whatever it was, nothing was asked for but a token.
                    raise UnavailableError(
                        f"PayPal gives no token ({type(error).__name__})"
                    ) from None
            return self._token

    def _raw(
        self,
        method: Any,
        path: str,
        *,
        body: str | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        builder = RequestBuilder().server(Server.DEFAULT).path(path).http_method(method)
        for name, value in (query or {}).items():
            builder = builder.query_param(Parameter().key(name).value(value))
        if body is not None:
            builder = (
                builder.header_param(Parameter().key("Content-Type").value("application/json"))
                .body_param(Parameter().value(body))
                .body_serializer(APIHelper.json_serialize)
            )
        builder = builder.header_param(Parameter().key("accept").value("application/json"))
        answer = (
            ResponseHandler()
            .deserializer(APIHelper.json_deserialize)
            .is_api_response(True)
            .local_error("default", "The error response.", ErrorException)
        )
        call = BaseController(self._sdk.global_configuration).new_api_call_builder
        return call.request(builder.auth(Single("Oauth2"))).response(answer).execute()

    def _call(self, call: Callable[[], Any]) -> str:
        try:
            return str(call().text)
        except PluginError:
            raise
        except ApiException as error:
            raise self._understood(error) from None
        except requests.RequestException as error:
            raise silence("PayPal", error) from None
        except Exception as error:
            # The SDK stumbles over answers that are not what it expects, in many ways.
            raise OutcomeUnknownError(
                f"PayPal's answer made no sense ({type(error).__name__})"
            ) from None

    def _understood(self, error: Any) -> PluginError:
        """Turn the SDK's error into ours, without its ``str``, which may itself raise."""
        status = int(error.response_code)
        if status == 401:
            self.forget_token()
            return UnavailableError("PayPal does not accept our token any more")
        try:
            said = json.loads(error.response.text)
            details = said.get("details") or [{}]
            issue = details[0].get("issue") or said["name"]
            if not isinstance(issue, str):
                raise TypeError("an issue is a word")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return OutcomeUnknownError(f"PayPal answered {status} without its reasons")
        text = f"PayPal: {issue} (debug id {said.get('debug_id', 'none')})"
        if status >= 500 or status < 400 or status in _NOT_AN_ANSWER:
            return OutcomeUnknownError(f"{text}, {status}")
        if issue in PAYEE_ISSUES:
            return PayeeNotReadyError(text, code=issue)
        if status == 404:
            try:
                at = parsedate_to_datetime(error.response.headers["Date"])
            except (KeyError, TypeError, ValueError):
                return OutcomeUnknownError(f"{text}, without a date")
            return GoneError(text, code=issue, at=at)
        return RefusedError(text, code=issue)


class _Configuration(Configuration):  # type: ignore[misc]
    """The SDK knows two addresses only; this one takes any."""

    base_url = ""

    def get_base_uri(self, server: Any = Server.DEFAULT) -> str:
        """Return the address that was configured, whatever ``server``."""
        return self.base_url
