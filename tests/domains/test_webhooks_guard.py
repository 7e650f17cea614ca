"""Where webhooks may go. Nothing here leaves the machine."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.settings import get_settings
from jobs.webhooks import guard
from jobs.webhooks.guard import RefusedURL
from jobs.webhooks.sending import Message, Sender
from jobs.webhooks.signing import new_secret
from tests.domains.receiver import Receiver, receiving
from workrow.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("fresh_settings")


class Names:
    """A name server: it answers each question about a name with the next of its lists of addresses."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        found = self.answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def names(monkeypatch: pytest.MonkeyPatch, **answers: list[list[str]]) -> Names:
    server = Names(**answers)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", server.getaddrinfo)
    return server


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.127.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b:1::1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::"),
        "2001:0:a9fe:a9fe::1",
    ],
)
def test_an_address_that_is_not_the_worlds_is_refused(address: str) -> None:
    assert not guard.allowed(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert guard.allowed(ip_address(address))


def test_settings_allow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_WEBHOOK_ALLOW_NETWORKS", "10.1.0.0/16, fd00::/8")
    for address, allowed in {"10.1.2.3": True, "::ffff:10.1.2.3": True, "10.2.0.1": False, "fd12::1": True}.items():
        assert guard.allowed(ip_address(address)) is allowed


def test_a_network_that_is_none_is_an_error_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_WEBHOOK_ALLOW_NETWORKS", "10.1.0.0/16,10.1.2.3/8")
    with pytest.raises(ConfigurationError, match=r"WORKROW_WEBHOOK_ALLOW_NETWORKS='.*10\.1\.2\.3/8 has host bits set"):
        get_settings()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/", "begins with https://$"),
        ("ftp://example.org/", "begins with https://$"),
        ("file:///etc/passwd", "begins with"),
        ("example.org/hook", "begins with"),
        ("", "begins with"),
        ("https://", "names no host"),
        ("https:///hook", "names no host"),
        ("https://ada:secret@example.org/", "a user or a password"),
        ("https://example.org:0/", "a port is a number"),
        ("https://example.org/#top", "leave out #"),
        ("https://example.org:99999/", "a port is a number"),
        ("https://exa mple.org/", "names no host"),
        ("https://[::1", "is no URL"),
        ("https://example.org/\x00", "is no URL"),
        ("https://example.org/\ud800", "is no URL"),
        ("https://example.org/" + "x" * 2000, "2000 at most"),
        (f"https://{'x' * 70}.example.org/", "no name of a host|is no URL"),
        ("https://127.0.0.1/", "127.0.0.1 leads to 127.0.0.1, which is not on the public internet"),
        ("https://[::1]:8443/", "leads to ::1,"),
        ("https://[::ffff:7f00:1]/", "leads to"),
        ("https://localhost/", "localhost leads to"),
        ("https://2130706433/", "leads to 127.0.0.1"),
        ("https://0x7f.1/", "leads to 127.0.0.1"),
        ("https://127.1/", "leads to 127.0.0.1"),
        ("https://169.254.169.254/latest/meta-data/", "leads to 169.254.169.254"),
    ],
)
async def test_a_url_that_no_webhook_goes_to_is_refused_at_once(url: str, words: str) -> None:
    with pytest.raises(RefusedURL, match=words) as caught:
        await guard.check(url)
    assert "secret@" not in str(caught.value)


async def test_a_name_is_refused_if_one_of_its_addresses_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, hook_test=[["1.1.1.1", "10.0.0.7"]])
    with pytest.raises(RefusedURL, match=r"hook\.test leads to 10\.0\.0\.7"):
        await guard.check("https://hook.test/")


async def test_a_name_that_cannot_be_resolved_now_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    assert await guard.check("https://not-yet.test/hook") == "https://not-yet.test/hook"
    with pytest.raises(OSError, match="not-yet.test cannot be resolved"):
        await guard.addresses(httpx.URL("https://not-yet.test/hook"))


def to(url: str) -> Message:
    return Message(1, url, "msg_1", "{}", (new_secret(),))


async def test_a_name_that_leads_elsewhere_later_is_refused_then(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_WEBHOOK_ALLOW_NETWORKS", "")
    url = f"http://hook.test:{receiver.port}/"
    server = names(monkeypatch, hook_test=[["1.1.1.1"], ["127.0.0.1"]])
    assert await guard.check(url) == url
    async with Sender() as sender:
        answer = await sender.send(to(url))
    assert answer.status is None
    assert "leads to 127.0.0.1, which is not" in str(answer.error)
    assert server.asked == ["hook.test"] * 2
    assert receiver.received == []


async def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a second look would find another address, and fail here
    server = names(monkeypatch, hook_test=[["127.0.0.1"], ["127.0.0.2"]], **{"127_0_0_1": [["127.0.0.1"]]})
    async with Sender() as sender:
        answer = await sender.send(to(f"http://hook.test:{receiver.port}/a?b=c"))
    assert (answer.status, answer.error) == (200, None)
    assert server.asked.count("hook.test") == 1
    (request,) = receiver.received
    assert (request.path, request.headers["host"]) == ("/a?b=c", f"hook.test:{receiver.port}")


async def test_the_next_address_is_tried_when_the_first_does_not_answer(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = {f"127_0_0_{n}": [[f"127.0.0.{n}"]] for n in (1, 9)}
    names(monkeypatch, hook_test=[["127.0.0.9", "127.0.0.1"]], **each)
    async with Sender() as sender:
        answer = await sender.send(to(f"http://hook.test:{receiver.port}/"))
    assert answer.status == 200


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for hook.test that nobody else signed, with its key."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("needs openssl, to make a certificate")
    path = tmp_path / "hook.test.pem"
    words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=hook.test",
    ]
    names = ("-addext", "subjectAltName=DNS:hook.test")
    subprocess.run([openssl, *words, *names, "-keyout", path, "-out", f"{path}.cert"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.cert").read_text())
    return path


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [("hook.test", 200, None), ("other.test", None, "Hostname mismatch, certificate is not valid for 'other.test'")],
)
async def test_the_certificate_is_that_of_the_name_though_the_address_is_called(
    receiver: Receiver,  # for its settings
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int | None,
    error: str | None,
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    names(monkeypatch, **{name: [["127.0.0.1"]], "127_0_0_1": [["127.0.0.1"]]})
    async with receiving(server) as secure, Sender() as sender:
        untrusted = await sender.send(to(f"https://{name}:{secure.port}/"))
        names(monkeypatch, **{name: [["127.0.0.1"]], "127_0_0_1": [["127.0.0.1"]]})
        sender._transport = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=certificate))
        answer = await sender.send(to(f"https://{name}:{secure.port}/"))
    assert "self-signed certificate" in str(untrusted.error)
    assert answer.status == status
    assert error is None or error in str(answer.error)
    assert [request.headers["host"] for request in secure.received] == [f"{name}:{secure.port}"] * (status == 200)


async def test_no_proxy_of_the_environment_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Sender() as sender:
        assert (await sender.send(to(receiver.url))).status == 200
