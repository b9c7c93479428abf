"""Mobile money keeps the contract of processors."""

import pytest
from processor import MobileWorld, Processor

from cnn_offset.testing.payments import BaseProcessorContract
from cnn_offset.testing.serving import served


class TestMobileMoney(BaseProcessorContract):
    @pytest.fixture
    def world(self):
        processor = Processor()
        with served(processor) as url:
            yield MobileWorld(processor, url)
