"""Sending a message once: render it, hand it to the channel, and bound the time that this may take."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from channels.base import SENDING_FOR, Channel, ChannelUnavailable, Message, Receipt, SendFailed, TargetModel
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget
from hub.compute import ComputePool
from hub.dispatch.holds import SANDBOX, Holds
from hub.errors import Unavailable
from hub.models import Delivery, Event
from hub.rendering import Composer, Renderer, RenderFailed
from hub.telemetry.tracing import Tracing, current_traceparent

_log = structlog.get_logger(__name__)


class Sender:
    """Sends an event to a subscription's target through its channel; in a sandbox it does everything but that.

    Example:

        renderer = Renderer({kind: type(channel) for kind, channel in channels.items()})
        sender = Sender(channels, renderer, tracing, compute)
        receipt = await sender.send(event, delivery, subscription, at=clock.now(), seconds=15.0)
    """

    def __init__(
        self,
        channels: Mapping[str, Channel[Any]],
        renderer: Renderer,
        tracing: Tracing,
        compute: ComputePool,
        *,
        sandbox: bool = False,
    ) -> None:
        self.holds = Holds(channels, sandbox=sandbox)
        self._channels = channels
        self._composer = Composer(renderer, compute)
        self._tracing = tracing

    def host(self, subscription: Subscription) -> str:
        """What its messages depend on together with those of other subscriptions; see `Channel.host`."""
        if isinstance(subscription.target, UnreadableTarget | ForeignTarget):
            return subscription.id
        channel = self._channels[subscription.spec.channel]
        try:
            return channel.host(subscription.target)
        except Exception:  # noqa: BLE001 - a channel may be code of others, whose defects must stop nothing else
            _log.exception("channel.crashed", channel=channel.kind, subscription_id=subscription.id)
            return subscription.id

    async def send(
        self,
        event: Event,
        delivery: Delivery,
        subscription: Subscription,
        *,
        at: datetime,
        seconds: float,
        test: bool = False,
    ) -> Receipt | SendFailed:
        """Send exactly once, and give up after `seconds`. Every failure is returned as `SendFailed`, none is raised.

        The message of a `test` is marked as such.
        """
        if (reason := self.holds.misconfigured(subscription)) is not None:
            return ChannelUnavailable(reason)
        attempted = await self._send(event, delivery, subscription, at, seconds, test=test)
        self.holds.learn(subscription, attempted if isinstance(attempted, ChannelUnavailable) else None, at)
        return attempted

    async def _send(
        self,
        event: Event,
        delivery: Delivery,
        subscription: Subscription,
        at: datetime,
        seconds: float,
        *,
        test: bool,
    ) -> Receipt | SendFailed:
        channel = self._channels[subscription.spec.channel]
        SENDING_FOR.set(event.tenant)
        try:
            with self._tracing.attempt(delivery, event.traceparent):
                message, target = await self._compose(channel, event, delivery, subscription, at)
                if self.holds.sandbox:
                    return Receipt(response_body=SANDBOX)
                # The timeouts of a client are for single reads: a target that sends a byte now and then would never run
                # into them.
                async with asyncio.timeout(seconds):
                    receipt: Receipt = await channel.send(replace(message, test=True) if test else message, target)
                    return receipt
        except SendFailed as failure:
            return failure
        except RenderFailed as failure:
            return SendFailed(f"the template cannot be rendered: {failure}", permanent=True)
        except Unavailable as error:
            return SendFailed(f"the message cannot be rendered now: {error.detail}")
        except TimeoutError:
            return SendFailed(f"no answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a channel may be code of others, whose defects must stop nothing else
            _log.exception("channel.crashed", channel=subscription.spec.channel, delivery_id=delivery.id)
            return SendFailed(f"the channel {subscription.spec.channel} failed: {type(error).__name__}")

    async def _compose(
        self, channel: Channel[Any], event: Event, delivery: Delivery, subscription: Subscription, at: datetime
    ) -> tuple[Message, TargetModel]:
        content, target = await self._composer.compose(
            (subscription.id, subscription.updated_at),
            channel.kind,
            event,
            subscription.spec.template,
            subscription.target,
        )
        message = Message(
            tenant=event.tenant,
            event_id=event.id,
            delivery_id=delivery.id,
            attempt=delivery.attempt_count,
            type=event.type,
            source=event.source,
            source_id=event.source_id,
            subject=event.subject,
            time=event.time,
            data=event.data,
            sent_at=at,
            content_type=event.content_type,
            data_base64=event.data_base64,
            extensions=event.extensions,
            content=content,
            traceparent=current_traceparent(event.traceparent),
            checkpoint=delivery.checkpoint,
        )
        return message, target
