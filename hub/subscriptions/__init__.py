"""Who wants which events, where and how."""

from hub.subscriptions.forms import SubscriptionForms
from hub.subscriptions.model import Subscription, SubscriptionSpec, SubscriptionView

__all__ = ["Subscription", "SubscriptionForms", "SubscriptionSpec", "SubscriptionView"]
