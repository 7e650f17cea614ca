"""Where a webhook may go: not into our own network, whatever a URL or a name server says.

A URL is looked at when it is given, and its host again at each attempt: `addresses` resolves it and checks what it
resolves to, and the connection is made to one of these addresses, not to the name, which may mean another one by then.
"""

import asyncio
import contextlib
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from jobs.settings import get_settings

Address = IPv4Address | IPv6Address
MAX_URL = 2000
RESOLVE_SECONDS = 5.0
NAT64 = ip_network("64:ff9b::/96")
REFUSED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(each)
    for each in (
        *("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10"),  # metadata of clouds, relays, CGNAT
        *("::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "fec0::/10"),  # what has IPv4 inside, site-local
    )
)
"""What `ipaddress` takes for global, in some version of Python or in all, and is not the world's."""


class RefusedURL(ValueError):
    """No webhook goes there; the text says why, and what would be right."""


async def check(url: str) -> str:
    """The URL as it is stored. A host that cannot be resolved now is no error: it is checked again at each attempt.

    Raises:
        RefusedURL: it is none, of another scheme, with a password in it, or leads to an address that is not allowed.
    """
    parsed = parse(url)
    with contextlib.suppress(OSError):
        await addresses(parsed)
    return str(parsed)


def parse(url: str) -> httpx.URL:
    """The parts of a URL that a webhook may have.

    Raises:
        RefusedURL: of its form; nothing is resolved.
    """
    schemes = ("https", "http") if get_settings().webhook_allow_http else ("https",)
    shown = repr(url[:MAX_URL])
    if len(url) > MAX_URL:
        raise RefusedURL(f"the URL has {len(url)} characters: {MAX_URL} at most")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:  # ValueError: half a character
        raise RefusedURL(f"{shown} is no URL: {error}") from None
    if parsed.scheme not in schemes:
        raise RefusedURL(f"{shown}: write a URL that begins with {' or '.join(f'{each}://' for each in schemes)}")
    if not parsed.host or "%" in parsed.host:
        raise RefusedURL(f"{shown} names no host: write https://example.org/hook")
    if parsed.userinfo:
        raise RefusedURL("a URL with a user or a password would end up in logs; check the signature instead")
    if parsed.port is not None and not 1 <= parsed.port <= 65_535:
        raise RefusedURL(f"{shown}: a port is a number from 1 to 65535; leave it out for the usual one")
    if parsed.fragment:
        raise RefusedURL(f"{shown}: leave out # and what stands behind it, which no server sees")
    return parsed


async def addresses(url: httpx.URL) -> list[str]:
    """The addresses of the URL's host, all of them checked; connect to these.

    Raises:
        RefusedURL: one of them is not allowed.
        OSError: the host cannot be resolved.
    """
    host = url.raw_host.decode()
    port = url.port or {"https": 443, "http": 80}[url.scheme]
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 characters
        raise RefusedURL(f"{host!r} is no name of a host: {error}") from None
    except TimeoutError:
        raise OSError(f"{host} was not resolved within {RESOLVE_SECONDS:g} s") from None
    except OSError as error:
        raise OSError(f"{host} cannot be resolved: {error}") from None
    resolved = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in resolved:
        if not allowed(ip_address(address)):
            raise RefusedURL(
                f"{host} leads to {address}, which is not on the public internet; "
                "WORKROW_WEBHOOK_ALLOW_NETWORKS names networks that are allowed all the same"
            )
    return resolved


def allowed(address: Address) -> bool:
    """Whether a webhook may go to this address: it is public, or the settings name it."""
    if isinstance(address, IPv6Address):  # which may be a way of writing an IPv4 address
        address = IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped or address
    if any(address in network for network in get_settings().webhook_networks):
        return True
    return address.is_global and not address.is_multicast and not any(address in network for network in REFUSED)
