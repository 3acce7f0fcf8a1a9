"""Which fields of a target have templates, and which of them say who gets the message."""

from typing import Any

import pytest

from channels.email import EmailTarget
from channels.webhook import WebhookTarget
from hub.rendering.targets import has_template, recipient_fields, rendered_fields, shown_name
from tests.hub.rendering.conftest import NoteTarget


def test_the_fields_that_say_who_gets_the_message_are_some_of_those_with_templates() -> None:
    assert rendered_fields(EmailTarget) == ("to", "cc", "bcc", "reply_to", "unsubscribe_url")
    assert recipient_fields(EmailTarget) == ("to", "cc", "bcc")
    assert rendered_fields(WebhookTarget) == recipient_fields(WebhookTarget) == ()


def test_a_field_is_taken_for_a_recipient_unless_its_channel_says_otherwise() -> None:
    assert recipient_fields(NoteTarget) == rendered_fields(NoteTarget) == ("to", "reply_to", "sender")
    assert shown_name(NoteTarget, "sender") == "from"


@pytest.mark.parametrize(
    ("value", "has"),
    [("{{ id }}", True), (["a", "{% if x %}"], True), ({"a": ["{{ b }}"]}, True), ("{ id }", False), (None, False)],
)
def test_a_template_is_found_wherever_it_is(value: Any, has: bool) -> None:
    assert has_template(value) is has
