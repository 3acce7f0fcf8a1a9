"""Signing secrets: new ones cannot be guessed, and replaced ones go on signing, a few of them, for their time."""

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from channels.base import PreviousSecret, SignedTarget, TargetModel, new_secret
from hub.testing.clock import START


class Hook(SignedTarget):
    url: str = "https://example.com"


def test_a_new_secret_is_32_random_bytes_in_the_form_of_standard_webhooks() -> None:
    secrets = {new_secret().get_secret_value() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in secrets} == {32}


def test_a_target_without_a_secret_is_given_one_of_its_own() -> None:
    assert Hook().secret != Hook().secret


def test_a_rendered_target_knows_the_templates_that_it_was_made_from() -> None:
    stored = Hook(url="{{ data.url }}")
    rendered = stored.rendered({"url": "https://example.com"})
    assert (rendered.url, rendered.templates.url) == ("https://example.com", "{{ data.url }}")
    assert rendered.secret == stored.secret
    assert stored.templates is stored


def test_a_rotation_keeps_the_old_secret_until_its_grace_is_over() -> None:
    target = Hook(secret=SecretStr("whsec_old"), url="https://example.com/hooks")
    rotated = target.rotated(START)
    assert (rotated.url, rotated.secret == target.secret) == ("https://example.com/hooks", False)
    assert rotated.previous_secrets == (PreviousSecret(secret=SecretStr("whsec_old"), expires_at=START),)
    assert target.previous_secrets == ()


def test_however_often_a_secret_is_replaced_the_newest_four_are_kept() -> None:
    target, given = Hook(), list[SecretStr]()
    for hours in range(6):
        given.insert(0, target.secret)
        target = target.rotated(START + timedelta(hours=hours))
    assert [previous.secret for previous in target.previous_secrets] == given[:4]


def test_a_target_cannot_change_takes_no_unknown_member_and_repeats_nothing_that_was_sent() -> None:
    target: Any = Hook()
    with pytest.raises(ValidationError, match="frozen"):
        target.url = "https://example.com/other"
    with pytest.raises(ValidationError) as refused:
        TargetModel.model_validate({"token": "s3cret"})
    assert "s3cret" not in str(refused.value)


def test_no_secret_is_in_the_text_of_a_target() -> None:
    target = Hook(secret=SecretStr("whsec_s3cret")).rotated(START)
    assert "s3cret" not in repr(target)
