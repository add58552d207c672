"""The guard: which network addresses may be connected to.

A page may name any host, and a host's name may lead anywhere: to this machine, to the router, to a cloud's metadata. By
default only addresses of the public internet are connected to. The lists are those of the IANA special-purpose address
registries (RFC 6890), written out, as Python's `is_global` differs between its versions and lets multicast through.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from ingest.web import NotFetched

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOST_NAME = re.compile(r"(?![0-9.]+\Z)[a-z0-9._-]+")

PRIVATE = tuple(
    map(ip_network, "10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7".split())
)
"""Where a host of one's own may be: allowed together with its name."""
METADATA = tuple(map(ip_address, "fd00:ec2::254 fd20:ce::254 100.100.100.200".split()))
"""Where AWS, Google and Alibaba answer their machines, in private ranges; 169.254.169.254 is link-local."""
NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
        "168.63.129.16/32".split(),  # Azure answers its machines there, at an address that is public by registry
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is given out of IPv6. Mapped, compatible and NAT64 addresses lie outside, as do all private ones."""
NOT_PUBLIC_V6 = tuple(map(IPv6Network, "2001::/23 2001:db8::/32 2002::/16 3fff::/20".split()))
"""Teredo and other protocols, documentation, and 6to4, behind which any IPv4 address may be."""
LAST_32_BITS = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))
"""Compatible, mapped, translated and NAT64 addresses, whose end is an IPv4 one."""


@dataclass(frozen=True)
class Guard:
    """Decides about addresses; `hosts` may be at private ones, and `networks` are allowed whoever is there."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, allowed: str) -> Self:
        """A guard from names, addresses and networks with commas between them. Raises ValueError for any other."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for word in filter(None, (part.strip().lower().strip("[]").rstrip(".") for part in allowed.split(","))):
            if network := _network(word):
                networks.append(network)
            elif HOST_NAME.fullmatch(word):
                hosts.add(word)
            else:
                raise ValueError(f"{word!r} is neither a host's name nor a network")
        return cls(frozenset(hosts), tuple(networks))

    def check(self, host: str, addresses: Iterable[str]) -> Sequence[str]:
        """The addresses of a host, all of which may be connected to. Raises NotFetched when one may not.

        One bad address is enough: a name that leads inside as well as outside is no page of the public internet.
        """
        found = tuple(dict.fromkeys(addresses))
        if not all(self.allows(host, address) for address in found):
            raise NotFetched(
                "private-address",
                f"{host} is not on the public internet; CITESTREAM_WEB_PRIVATE_HOSTS can allow it",
            )
        return found

    def allows(self, host: str, address: str) -> bool:
        """Whether that address of that host may be connected to."""
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if any(ip in network for network in self.networks if network.version == ip.version):
            # Behind an allowed way from IPv6 to IPv4 the guard goes on to look at where it leads.
            return all(is_public(inner) or self.allows(host, str(inner)) for inner in embedded(ip))
        private = ip not in METADATA and any(ip in network for network in PRIVATE if network.version == ip.version)
        if private and host.lower().rstrip(".") in self.hosts:
            return True
        return is_public(ip)


def is_public(ip: Ip) -> bool:
    """Whether an address belongs to some host of the public internet."""
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in NOT_PUBLIC_V4)
    return ip in PUBLIC_V6 and not any(ip in network for network in NOT_PUBLIC_V6)


def embedded(ip: Ip) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 one leads to: mapped, compatible, NAT64 (RFC 6052), 6to4 and Teredo."""
    if isinstance(ip, IPv4Address) or int(ip) <= 1:
        return ()
    if ip.teredo is not None:
        return ip.teredo
    if ip.sixtofour is not None:
        return (ip.sixtofour,)
    last = IPv4Address(int(ip) & 0xFFFFFFFF)
    return (last,) if any(ip in network for network in LAST_32_BITS) else ()



def _network(word: str) -> Network | None:
    try:
        return ip_network(word, strict=False)
    except ValueError:
        return None
