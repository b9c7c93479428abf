"""The tables and their constraints."""

from cnn_offset.models.base import Model
from cnn_offset.models.cancelling import Cancellation, CancelledRange
from cnn_offset.models.catalogue import Activity, ActivityKind, Block, Offer, OfferStatus
from cnn_offset.models.ordering import Checkout, CheckoutLine, Order, OrderLine
from cnn_offset.models.papers import Attestation, Counter, Event, Message, RecordTerm
from cnn_offset.models.parties import PayoutMethod, Provider, Role, User
from cnn_offset.models.paying import Payment, PaymentFact, WebhookDelivery

__all__ = [
    "Activity",
    "ActivityKind",
    "Attestation",
    "Block",
    "Cancellation",
    "CancelledRange",
    "Checkout",
    "CheckoutLine",
    "Counter",
    "Event",
    "Message",
    "Model",
    "Offer",
    "OfferStatus",
    "Order",
    "OrderLine",
    "Payment",
    "PaymentFact",
    "PayoutMethod",
    "Provider",
    "RecordTerm",
    "Role",
    "User",
    "WebhookDelivery",
]
