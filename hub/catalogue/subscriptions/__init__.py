"""Who wants which events, where and how."""

from hub.catalogue.subscriptions.codec import SubscriptionCodec
from hub.catalogue.subscriptions.model import Subscription, SubscriptionSpec, SubscriptionView

__all__ = ["Subscription", "SubscriptionCodec", "SubscriptionSpec", "SubscriptionView"]
