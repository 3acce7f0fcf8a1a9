"""Slack, through an incoming webhook or a bot's `chat.postMessage`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import httpx
import orjson
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from channels.base import Channel, ChannelContext, Escape, Message, Receipt, SendFailed, TargetModel
from channels.block_kit import cut, fitted_blocks
from channels.http import checked_url, deliver, excerpt, failure, host_of, parsed_url

API_URL = "https://slack.com/api"

# https://docs.slack.dev/reference/methods/chat.postMessage#truncating
MAX_TEXT = 40_000
TEST_MARK = "[test]"
MAX_FALLBACK = 4_000
"""Characters of the text where blocks are shown, and the text stands in notifications."""

# https://docs.slack.dev/reference/methods/chat.postMessage#errors
# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
_PERMANENT = frozenset(
    """
    access_denied account_inactive action_prohibited as_user_not_supported channel_is_archived channel_not_found
    deprecated_endpoint ekm_access_denied enterprise_is_restricted invalid_arguments invalid_auth invalid_blocks
    invalid_blocks_format invalid_payload invalid_token is_archived messages_tab_disabled method_deprecated
    missing_scope msg_blocks_too_long msg_too_long no_active_hooks no_permission no_service no_service_id no_team
    no_text not_allowed_token_type not_authed not_in_channel
    posting_to_general_channel_denied restricted_action restricted_action_non_threadable_channel
    restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel
    team_access_not_granted team_disabled team_not_found token_expired token_revoked too_many_attachments
    two_factor_setup_required user_not_found
    """.split()  # noqa: SIM905 - a list would take one line for each code
)
"""Slack's error codes that no later attempt can change. All other codes may be temporary."""


def _checked_webhook(url: SecretStr) -> SecretStr:
    checked_url(url.get_secret_value())
    return url


class SlackTarget(TargetModel):
    """Either an incoming webhook, whose URL is the secret, or a bot's token and the channel that it writes to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"webhook_url": "https://hooks.slack.com/services/T000/B000/XXXX"},
                {"bot_token": "xoxb-0-XXXX", "channel": "C0123456789"},
            ]
        }
    )

    webhook_url: Annotated[SecretStr, AfterValidator(_checked_webhook)] | None = None
    bot_token: Annotated[SecretStr, Field(min_length=1, max_length=512)] | None = None
    channel: str | None = Field(default=None, min_length=1, max_length=256)
    """The id of the channel, or its name with `#`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_bot = self.bot_token is not None and self.channel is not None
        if by_bot == (self.webhook_url is not None) or (self.bot_token is None) != (self.channel is None):
            raise ValueError("give either webhook_url, or bot_token and channel")
        if self.bot_token is not None and not re.fullmatch(r"[\x21-\x7e]+", self.bot_token.get_secret_value()):
            raise ValueError("bot_token must be printable ASCII")
        return self


class SlackChannel(Channel[SlackTarget]):
    """Posts the rendered text and blocks. Text beyond Slack's limits is cut, so that the message still arrives."""

    kind = "slack"
    Target = SlackTarget
    option_names = frozenset({"slack_api_url"})
    default_template: ClassVar[Mapping[str, Any]] = {
        "text": "{{ type }}{% if subject %} · {{ subject }}{% endif %}",
        "blocks": [
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "*{{ type }}*{% if subject %}\n{{ subject }}{% endif %}"},
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": "```{{ data | json: 2 | truncate: 3000 }}```"}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "{{ source }} · {{ time }} · `{{ id }}`"}]},
        ],
    }
    escapes: ClassVar[Mapping[str, Escape]] = {"text": "mrkdwn", "blocks": "mrkdwn"}
    # Slack shows the text only where there are no blocks.
    made_from: ClassVar[Mapping[str, str]] = {"blocks": "text"}
    rate_per_second = 1.0  # https://docs.slack.dev/apis/web-api/rate-limits: one message a second for each channel

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        api = context.options.get("slack_api_url", API_URL).rstrip("/")
        self._post_message, self._auth_test = f"{api}/chat.postMessage", f"{api}/auth.test"
        self._wrong_url: str | None = None
        try:
            checked_url(self._post_message)
        except ValueError as error:
            self._wrong_url = f"HUB_SLACK_API_URL {error}"

    def unavailable(self, target: SlackTarget) -> str | None:
        return self._wrong_url if target.bot_token is not None else None

    def host(self, target: SlackTarget) -> str:
        return host_of(target.webhook_url.get_secret_value() if target.webhook_url else self._post_message)

    async def send(self, message: Message, target: SlackTarget) -> Receipt:
        payload = _payload(_marked(message.content) if message.test else message.content)
        if target.webhook_url is not None:
            return await self._by_webhook(message, target.webhook_url.get_secret_value(), payload)
        assert target.bot_token is not None  # noqa: S101 - the target's validator guarantees it
        return await self._by_bot(message, target.bot_token.get_secret_value(), {"channel": target.channel} | payload)

    async def check(self, target: SlackTarget | None) -> None:
        """Ask whether a bot's token is valid. There is no way to try an incoming webhook without a message."""
        # https://docs.slack.dev/reference/methods/auth.test
        if target is None or target.bot_token is None:
            return
        token = target.bot_token.get_secret_value()
        request = httpx.Request("POST", self._auth_test, headers={"authorization": f"Bearer {token}"})
        response = await deliver(self.context.http, request)
        answer = _answer(response)
        if not response.is_success or answer.get("ok") is not True:
            raise SendFailed(f"Slack answered {_code(response, str(answer.get('error', '')))} about the bot's token")

    async def _by_webhook(self, message: Message, url: str, payload: Mapping[str, Any]) -> Receipt:
        headers = {"content-type": "application/json"}
        request = httpx.Request("POST", parsed_url(url), headers=headers, content=orjson.dumps(payload))
        response = await deliver(self.context.http, request)
        text = response.text.strip()
        # Slack answers "ok". Mattermost, Rocket.Chat and Discord take the message with words of their own, or none.
        if response.is_success and text not in _PERMANENT:
            return Receipt(response.status_code, excerpt(response, [request.url.path]))
        raise _refusal(response, message, text, secret=request.url.path)

    async def _by_bot(self, message: Message, token: str, payload: Mapping[str, Any]) -> Receipt:
        headers = {"content-type": "application/json; charset=utf-8", "authorization": f"Bearer {token}"}
        request = httpx.Request("POST", parsed_url(self._post_message), headers=headers, content=orjson.dumps(payload))
        response = await deliver(self.context.http, request)
        answer = _answer(response)
        # Slack says with a 200 too that it has not taken a message.
        if response.is_success and answer.get("ok") is not False:
            return Receipt(response.status_code, excerpt(response, [token]))
        raise _refusal(response, message, str(answer.get("error", "")), secret=token)


def _refusal(response: httpx.Response, message: Message, code: str, *, secret: str) -> SendFailed:
    """The failure that Slack's error code means, or its status where the answer has no code."""
    what = _code(response, code)
    # Slack answers 403, 404 and 410 for webhooks that were removed or whose channel is closed.
    permanent = code in _PERMANENT or response.status_code in {403, 404, 410}
    return failure(response, message.sent_at, f"Slack answered {what}", permanent=permanent, secrets=[secret])


def _marked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a test, marked in the text, which stands in notifications, and above the blocks."""
    mark = {"type": "context", "elements": [{"type": "mrkdwn", "text": f"*{TEST_MARK}*"}]}
    blocks = content.get("blocks")
    return {
        "text": f"{TEST_MARK} {content.get('text') or ''}".rstrip(),
        "blocks": [mark, *blocks] if blocks else [],
    }


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _code(response: httpx.Response, code: str) -> str:
    """Slack's error code, or the status where the answer has none."""
    is_code = re.fullmatch(r"[a-z_]{1,64}", code) is not None
    return code if is_code else f"{response.status_code} {response.reason_phrase}".rstrip()


def _payload(content: Mapping[str, Any]) -> dict[str, Any]:
    """The message within Slack's limits. Raises `SendFailed` when it is empty."""
    blocks = fitted_blocks(content.get("blocks") or ())
    text = cut(str(content.get("text") or ""), MAX_FALLBACK if blocks else MAX_TEXT)
    if not text.strip() and not blocks:
        raise SendFailed("the message has neither text nor blocks", permanent=True)
    return {"text": text, "blocks": blocks} if blocks else {"text": text}
