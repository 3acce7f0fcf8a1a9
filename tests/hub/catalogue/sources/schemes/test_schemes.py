"""Each scheme verifies what its vendor signs, refuses anything else, and reads the vendor's name and id."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from hub.catalogue.sources.schemes import EVENT_HEADERS, SCHEMES, Announced, Scheme
from hub.catalogue.sources.schemes.github import GitHub
from hub.catalogue.sources.schemes.hmac import Hmac
from hub.catalogue.sources.schemes.shopify import Shopify
from hub.catalogue.sources.schemes.standard import StandardWebhooks
from hub.catalogue.sources.schemes.stripe import Stripe
from hub.errors import Invalid, Unauthorized

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
AT = str(int(NOW.timestamp()))
SECRET = "It's a Secret to Everybody"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"id":"evt_1","type":"invoice.paid","created":1763899200,"n":{"name":"n","id":7}, "data" : { "total": 10.50 }}'
VALUE = orjson.loads(BODY)


def hexed(content: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), content, algorithm).hexdigest()


def based(content: bytes) -> str:
    return b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode()


@dataclass(frozen=True)
class Request:
    """A request as a vendor signs it, and what it announces. Header names are lower-case."""

    scheme: str
    headers: Mapping[str, str]
    announced: Announced | None
    secret: str = SECRET
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return " ".join((self.scheme, *(str(value) for value in self.options.values())))

    @property
    def configured(self) -> Scheme:
        return SCHEMES[self.scheme].model_validate(self.options)

    def verify(self, headers: Mapping[str, str], *secrets: str, body: bytes = BODY, now: datetime = NOW) -> None:
        self.configured.verify(headers, body, secrets or (self.secret,), now)


GITHUB = {"x-hub-signature-256": f"sha256={hexed(BODY)}", "x-github-event": "push", "x-github-delivery": "d-1"}
STRIPE = {"stripe-signature": f"t={AT},v1={hexed(AT.encode() + b'.' + BODY)},v0=6ffbb59b2300aae63f272406069a9788"}
SHOPIFY = {
    "x-shopify-hmac-sha256": based(BODY),
    "x-shopify-topic": "orders/create",
    "x-shopify-event-id": "e-1",
    "x-shopify-webhook-id": "w-1",
    "x-shopify-triggered-at": "2026-11-23T11:59:58.877041743Z",
}
STANDARD = {
    "webhook-id": "msg_1",
    "webhook-timestamp": AT,
    "webhook-signature": f"v1a,AAAA {Webhook(WHSEC).sign('msg_1', NOW, BODY.decode())}",
}
PLAIN = {"x-signature": hexed(BODY), "x-event": "stock.low", "x-id": "7"}

REQUESTS = [
    Request("github", GITHUB, Announced("push", "d-1")),
    Request("stripe", STRIPE, Announced("invoice.paid", "evt_1", datetime(2025, 11, 23, 12, 0, tzinfo=UTC))),
    Request(
        "shopify",
        SHOPIFY,
        Announced("orders.create", "orders/create/e-1", datetime(2026, 11, 23, 11, 59, 58, 877041, tzinfo=UTC)),
    ),
    Request("standard", STANDARD, Announced("invoice.paid", "msg_1", None, "data"), WHSEC),
    Request("hmac", PLAIN, Announced("", None), options={"header": "X-Signature"}),
    Request(
        "hmac",
        PLAIN,
        Announced("stock.low", "7"),
        options={"header": "x-signature", "name_header": "X-Event", "id_header": "X-Id"},
    ),
    Request(
        "hmac",
        {"x-signature": f"v1 {based(BODY)}"},
        Announced("n", "7"),
        options={
            "header": "X-Signature",
            "encoding": "base64",
            "prefix": "v1 ",
            "name_member": "n.name",
            "id_member": "n.id",
        },
    ),
    *(
        Request(
            "hmac",
            {"x-signature": hexed(BODY, algorithm).upper()},
            Announced("", None),
            options={"header": "X-Signature", "algorithm": algorithm},
        )
        for algorithm in ("sha1", "sha384", "sha512")
    ),
]
SIGNATURES = ("x-hub-signature-256", "stripe-signature", "x-shopify-hmac-sha256", "webhook-signature", "x-signature")
each_request = pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.label)


def test_each_module_is_the_scheme_of_its_name_and_is_tried_here() -> None:
    expected = {"github": GitHub, "hmac": Hmac, "shopify": Shopify, "standard": StandardWebhooks, "stripe": Stripe}
    assert expected == SCHEMES
    assert {request.scheme for request in REQUESTS} == SCHEMES.keys()


@each_request
def test_what_the_vendor_signed_is_taken(request_: Request) -> None:
    request_.verify(request_.headers)
    assert request_.configured.announced(request_.headers, VALUE) == request_.announced


@each_request
def test_any_of_the_secrets_in_force_is_enough(request_: Request) -> None:
    another = "whsec_" + b64encode(b"another secret of 32 characters!").decode()
    request_.verify(request_.headers, another, request_.secret)
    with pytest.raises(Unauthorized):
        request_.verify(request_.headers, another)


@each_request
@pytest.mark.parametrize("body", [BODY + b" ", b"", BODY.replace(b"10.50", b"10.5")])
def test_another_body_is_refused(request_: Request, body: bytes) -> None:
    with pytest.raises(Unauthorized):
        request_.verify(request_.headers, body=body)


@each_request
@pytest.mark.parametrize("given", [None, "", "sha256=", "t=1", "v1,", "zz", "ä", ",,,=,", f"t={AT},v1=", "t=²,v1=00"])
def test_a_missing_or_malformed_signature_is_refused_like_a_wrong_one(request_: Request, given: str | None) -> None:
    signed = {name: value for name, value in request_.headers.items() if name not in SIGNATURES}
    wrong = {} if given is None else dict.fromkeys(SIGNATURES, given)
    with pytest.raises(Unauthorized) as refused:
        request_.verify({**signed, **wrong})
    assert "is unknown or disabled, or the signature" in refused.value.detail


@pytest.mark.parametrize(
    "request_", [r for r in REQUESTS if r.scheme in {"stripe", "standard"}], ids=lambda r: r.scheme
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_signature_is_good_for_five_minutes(request_: Request, sign: int) -> None:
    request_.verify(request_.headers, now=NOW + sign * timedelta(seconds=300))
    with pytest.raises(Unauthorized, match="more than 300 seconds away"):
        request_.verify(request_.headers, now=NOW + sign * timedelta(seconds=301))
    patient = SCHEMES[request_.scheme].model_validate({"tolerance_seconds": 600})
    patient.verify(request_.headers, BODY, [request_.secret], NOW + sign * timedelta(seconds=301))


def test_the_vectors_of_the_vendors_are_met() -> None:
    """GitHub: "Testing the webhook payload validation". Standard Webhooks: the example of its specification."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    SCHEMES["github"]().verify({"x-hub-signature-256": signature}, b"Hello, World!", [SECRET], NOW)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    SCHEMES["standard"]().verify(headers, b'{"test": 2432232314}', [WHSEC], at)


def test_stripe_signs_with_both_secrets_while_one_is_replaced() -> None:
    both = STRIPE["stripe-signature"].replace("v1=", f"v1={'0' * 64},v1=")
    SCHEMES["stripe"]().verify({"stripe-signature": both}, BODY, [SECRET], NOW)


def test_the_ping_of_github_announces_nothing() -> None:
    assert SCHEMES["github"]().announced({"x-github-event": "ping"}, {"zen": "Keep it logically awesome."}) is None


def test_shopify_without_the_id_of_the_event_is_told_apart_by_that_of_the_delivery() -> None:
    headers = {name: value for name, value in SHOPIFY.items() if name != "x-shopify-event-id"}
    announced = SCHEMES["shopify"]().announced(headers, VALUE)
    assert announced is not None
    assert announced.id == "orders/create/w-1"


@pytest.mark.parametrize(("header", "kind"), EVENT_HEADERS.items())
def test_a_header_that_names_the_event_is_enough_to_know_it_without_options_and_without_an_id(
    header: str, kind: str
) -> None:
    assert SCHEMES[kind]().announced({header: "push"}, VALUE) == Announced("push", None)


def test_the_vendors_that_name_the_event_in_a_header_of_their_own_are_known_by_it() -> None:
    assert EVENT_HEADERS == {"x-github-event": "github", "x-shopify-topic": "shopify"}


def test_a_standard_body_without_data_is_itself_the_data() -> None:
    announced = SCHEMES["standard"]().announced(STANDARD, {"type": "ping"})
    assert announced == Announced("ping", "msg_1")


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "pointer"),
    [
        ("github", {}, {}, "/header/X-GitHub-Event"),
        ("shopify", {}, {}, "/header/X-Shopify-Topic"),
        ("stripe", {}, {"type": "a"}, "/id"),
        ("stripe", {}, [], "/type"),
        ("standard", {"webhook-id": "1"}, {"type": ["a"]}, "/type"),
        ("standard", {"webhook-id": "1"}, None, "/type"),
    ],
)
def test_what_a_vendor_always_sends_is_asked_for(scheme: str, headers: dict[str, str], body: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        SCHEMES[scheme]().announced(headers, body)
    assert [fault.pointer for fault in refused.value.errors] == [pointer]
