"""A catalogue over a real store, and subscriptions on two real channels and one for operators alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.base import Channel, ChannelContext, Message, Receipt, TargetModel
from channels.file import FileChannel
from channels.webhook import WebhookChannel
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import Sealer
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.rendering import Renderer
from hub.stores.base import Store


class OperatorChannel(Channel[TargetModel]):
    """Never sends: only its class is asked about."""

    kind = "operators"
    Target = TargetModel
    rate_per_second = 2.0
    operator_only = True

    async def send(self, message: Message, target: TargetModel) -> Receipt:
        raise NotImplementedError


@pytest.fixture
async def codec(tmp_path: Path) -> AsyncIterator[SubscriptionCodec]:
    async with httpx.AsyncClient() as http:
        context = ChannelContext(http, tmp_path)
        kinds: tuple[type[Channel[Any]], ...] = (WebhookChannel, FileChannel, OperatorChannel)
        renderer = Renderer({kind.kind: kind for kind in kinds})
        yield SubscriptionCodec(
            {kind.kind: kind(context) for kind in kinds}, renderer, Sealer("a secret of these tests")
        )


@pytest.fixture
def catalogue(store: Store, codec: SubscriptionCodec) -> Catalogue:
    return Catalogue(store.records, codec.decode)
