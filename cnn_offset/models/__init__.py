"""The tables and their constraints."""

from cnn_offset.models.applying import ApplicantRole, Application, ApplicationNote, Proof
from cnn_offset.models.attending import CheckFault, DealtWith
from cnn_offset.models.banking import BankEntry, BankStatement, Finding
from cnn_offset.models.base import Model
from cnn_offset.models.cancelling import Cancellation, CancelledRange
from cnn_offset.models.casework import Case, CaseFile, CaseMessage, IncomingMail
from cnn_offset.models.catalogue import Activity, ActivityKind, Block, Offer, OfferTerms
from cnn_offset.models.correcting import Correction
from cnn_offset.models.deciding import Proposal, ProposalKind
from cnn_offset.models.ending import RegistryEnd
from cnn_offset.models.fees import (
    FeeConsent,
    FeeSchedule,
    FeeStatement,
    FeeStatementLine,
    FeeTier,
    FeeVolume,
    OrderFee,
)
from cnn_offset.models.figures import Figure, Span, Tally, TallyPlace, Visit
from cnn_offset.models.forgetting import DoomedFile
from cnn_offset.models.history import HistoricCancellation, HistoryFacet, HistoryTerm
from cnn_offset.models.holding import AccountActivity, AccountKind, RegistryAccount, UnmappedBlock
from cnn_offset.models.importing import ImportKind, ImportRemark, ImportRun, Issuance
from cnn_offset.models.listing import Listing, Picture
from cnn_offset.models.moving import BlockOrigin, Cutover, CutoverGroup, FormerRef
from cnn_offset.models.ordering import Checkout, CheckoutLine, Order, OrderLine, OrderTerm
from cnn_offset.models.papers import (
    Attestation,
    Counter,
    Event,
    Message,
    Paper,
    PaperKind,
    RecordTerm,
)
from cnn_offset.models.parties import Invitation, PayoutMethod, Provider, Role, User, WebAuthn
from cnn_offset.models.paying import Payment, PaymentFact, WebhookDelivery
from cnn_offset.models.reconciling import (
    Difference,
    DifferenceKind,
    Hindrance,
    Night,
    NightStep,
    Reading,
)
from cnn_offset.models.refunding import Refund
from cnn_offset.models.replacing import Replacement
from cnn_offset.models.retiring import PluginTitle
from cnn_offset.models.running import CallHealth, Chore, Switch
from cnn_offset.models.surveying import Survey, SurveyReply, SurveySender, SurveyTally
from cnn_offset.models.wording import PageVersion, Saying

__all__ = [
    "AccountActivity",
    "AccountKind",
    "Activity",
    "ActivityKind",
    "ApplicantRole",
    "Application",
    "ApplicationNote",
    "Attestation",
    "BankEntry",
    "BankStatement",
    "Block",
    "BlockOrigin",
    "CallHealth",
    "Cancellation",
    "CancelledRange",
    "Case",
    "CaseFile",
    "CaseMessage",
    "CheckFault",
    "Checkout",
    "CheckoutLine",
    "Chore",
    "Correction",
    "Counter",
    "Cutover",
    "CutoverGroup",
    "DealtWith",
    "Difference",
    "DifferenceKind",
    "DoomedFile",
    "Event",
    "FeeConsent",
    "FeeSchedule",
    "FeeStatement",
    "FeeStatementLine",
    "FeeTier",
    "FeeVolume",
    "Figure",
    "Finding",
    "FormerRef",
    "Hindrance",
    "HistoricCancellation",
    "HistoryFacet",
    "HistoryTerm",
    "ImportKind",
    "ImportRemark",
    "ImportRun",
    "IncomingMail",
    "Invitation",
    "Issuance",
    "Listing",
    "Message",
    "Model",
    "Night",
    "NightStep",
    "Offer",
    "OfferTerms",
    "Order",
    "OrderFee",
    "OrderLine",
    "OrderTerm",
    "PageVersion",
    "Paper",
    "PaperKind",
    "Payment",
    "PaymentFact",
    "PayoutMethod",
    "Picture",
    "PluginTitle",
    "Proof",
    "Proposal",
    "ProposalKind",
    "Provider",
    "Reading",
    "RecordTerm",
    "Refund",
    "RegistryAccount",
    "RegistryEnd",
    "Replacement",
    "Role",
    "Saying",
    "Span",
    "Survey",
    "SurveyReply",
    "SurveySender",
    "SurveyTally",
    "Switch",
    "Tally",
    "TallyPlace",
    "UnmappedBlock",
    "User",
    "Visit",
    "WebAuthn",
    "WebhookDelivery",
]
