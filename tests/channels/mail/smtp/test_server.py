import asyncio

import pytest

from channels.mail import SmtpServer
from channels.mail.smtp.server import Dialler
from hub.testing.receivers import raw_receiver


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay.example", SmtpServer("relay.example", 25, "none")),
        ("smtp://relay.example:2525/", SmtpServer("relay.example", 2525, "none")),
        ("smtp+starttls://relay.example", SmtpServer("relay.example", 587, "starttls")),
        ("smtps://u%40x:p%2Fw@relay.example", SmtpServer("relay.example", 465, "tls", "u@x", "p/w")),
        ("smtp://u:p@127.0.0.1", SmtpServer("127.0.0.1", 25, "none", "u", "p")),
        ("smtp://u:p@[::1]:25", SmtpServer("::1", 25, "none", "u", "p")),
    ],
)
def test_the_url_says_where_and_how(url: str, server: SmtpServer) -> None:
    assert SmtpServer.parse(url) == server
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        *("", "relay.example", "http://relay.example", "smtp://", "smtp://relay.example:99999", "smtp://a:b:c"),
        *("smtp://user:canary@relay.example", "smtps://relay.example/path", "smtps://relay.example?canary=1"),
    ],
)
def test_a_url_that_is_wrong_or_would_show_the_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="HUB_SMTP_URL") as caught:
        SmtpServer.parse(url)
    assert "canary" not in str(caught.value)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_server_may_have_a_name_and_any_address() -> None:
    async with raw_receiver(hang_up) as port:
        for host in ("localhost", "127.0.0.1"):
            with await Dialler().connect(SmtpServer(host, port, "none")) as sock:
                assert sock.getpeername()[:2] == ("127.0.0.1", port)


async def test_a_name_that_does_not_resolve_is_an_error_of_the_network() -> None:
    with pytest.raises(OSError, match="does not resolve"):
        await Dialler().connect(SmtpServer("no-such-host.invalid", 25, "none"))
