from datetime import UTC, datetime

import pytest

from channels.mail.providers.sigv4 import Credentials, signed_headers

# From the AWS Signature Version 4 test suite: post-vanilla and post-x-www-form-urlencoded.
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
HOST = {"host": "example.amazonaws.com"}


@pytest.mark.parametrize(
    ("headers", "body", "names", "signature"),
    [
        (HOST, b"", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            HOST | {"Content-Type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_the_published_vectors_are_signed_as_published(
    headers: dict[str, str], body: bytes, names: str, signature: str
) -> None:
    signed = signed_headers("/", headers, body, EXAMPLE, AT)
    assert signed["x-amz-date"] == "20150830T123600Z"
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_session_token_is_signed_too() -> None:
    temporary = Credentials("AKIDEXAMPLE", "secret", "us-east-1", "service", session_token="token")
    signed = signed_headers("/", HOST, b"", temporary, AT)
    assert signed["x-amz-security-token"] == "token"
    assert "host;x-amz-date;x-amz-security-token" in signed["authorization"]


def test_credentials_do_not_show_their_secrets() -> None:
    assert "wJalr" not in repr(EXAMPLE)
