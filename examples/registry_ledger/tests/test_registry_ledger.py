"""The ledger's connector keeps the contract of connectors."""

import pytest
from ledger import Ledger, LedgerWorld

from cnn_offset.testing.registries import BaseConnectorContract
from cnn_offset.testing.serving import served


class TestLedger(BaseConnectorContract):
    @pytest.fixture
    def world(self):
        ledger = Ledger()
        with served(ledger) as url:
            yield LedgerWorld(ledger, url)
