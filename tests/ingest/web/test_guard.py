"""Which addresses may be connected to."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.web import NotFetched
from ingest.web.guard import Guard, is_public

EVERYTHING = Guard.parse("0.0.0.0/0, ::/0")
REFUSED = (
    "0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255 "
    "192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 "
    "240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 "
    "64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1 "
    "fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1"
).split()
TAKEN = "1.1.1.1 8.8.8.8 172.15.255.255 172.32.0.1 100.63.255.255 192.0.1.1 2606:4700::1111 2a00:1450:4001::200e".split()


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_on_the_public_internet_is_refused(address):
    with pytest.raises(NotFetched, match="private-address"):
        Guard().check("host.example", [address])


@pytest.mark.parametrize("address", TAKEN)
def test_public_addresses_are_taken(address):
    assert Guard().check("host.example", [address]) == (address,)


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_private_is_refused(ip):
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local:
        assert not is_public(ip)


@given(st.ip_addresses(v=6))
def test_whatever_python_calls_private_is_refused_in_ipv6(ip):
    if not ip.is_global or ip.is_multicast or ip.is_site_local or ip.is_link_local:
        assert not is_public(ip)


@given(st.ip_addresses(v=4))
def test_no_ipv6_address_leads_to_ipv4(ip):
    """Neither mapped, compatible, NAT64, 6to4 nor Teredo, which carries the address inverted."""
    number = int(ip)
    teredo = (0x20010000 << 96) | (0x01010101 << 64) | (number ^ 0xFFFFFFFF)
    for way in (number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, teredo):
        assert not Guard().allows("host.example", str(IPv6Address(way)))


@given(st.ip_addresses(network=IPv4Network("192.168.0.0/16")))
def test_an_allowed_way_to_ipv4_does_not_open_what_lies_behind_it(ip):
    guard = Guard.parse("64:ff9b::/96, 2002::/16, ::ffff:0:0/96")
    for way in (0x64FF9B << 96 | int(ip), 0x2002 << 112 | int(ip) << 80, 0xFFFF << 32 | int(ip)):
        assert not guard.allows("host.example", str(IPv6Address(way)))
        assert Guard.parse("64:ff9b::/96,2002::/16,::ffff:0:0/96,192.168.0.0/16").allows("h", str(IPv6Address(way)))
    assert guard.allows("host.example", "64:ff9b::8.8.8.8")


@given(st.ip_addresses())
def test_an_allowed_network_opens_itself_and_nothing_else(ip):
    guard = Guard.parse("10.1.0.0/16, fd00:1::/32")
    inside = ip in IPv4Network("10.1.0.0/16") if ip.version == 4 else ip in IPv6Network("fd00:1::/32")
    assert guard.allows("host.example", str(ip)) == (inside or is_public(ip))


@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=4))
def test_one_bad_address_is_enough(addresses):
    guard = Guard()
    if all(is_public(ip_address(address)) for address in addresses):
        assert list(guard.check("host.example", addresses)) == list(dict.fromkeys(addresses))
    else:
        with pytest.raises(NotFetched):
            guard.check("host.example", addresses)


def test_an_allowed_host_may_be_in_a_private_network_but_not_at_a_clouds_metadata():
    guard = Guard.parse("wiki.lan, Printer-2.lan.")
    assert guard.check("wiki.lan", ["10.0.0.7"])
    assert guard.check("WIKI.lan.", ["fd12::7"])
    assert guard.check("printer-2.lan", ["192.168.0.9"])
    clouds = ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
    for address in (*clouds, "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:10.0.0.7"):
        with pytest.raises(NotFetched):
            guard.check("wiki.lan", [address])
    with pytest.raises(NotFetched):
        guard.check("evil.wiki.lan", ["10.0.0.7"])


@given(st.text(max_size=30))
def test_what_is_no_address_is_not_connected_to(text):
    try:
        IPv4Address(text)
    except ValueError:
        if ":" not in text:
            assert not EVERYTHING.allows("host.example", text)


@pytest.mark.parametrize("allowed", ["10.0.0.300", "http://wiki.lan", "a b", "wiki.lan/8", "*", "10.0.0.0/33"])
def test_what_is_neither_a_host_nor_a_network_is_a_mistake(allowed):
    with pytest.raises(ValueError, match="neither a host's name nor a network"):
        Guard.parse(allowed)


def test_nothing_is_allowed_by_an_empty_setting():
    assert Guard.parse("") == Guard.parse(" , ") == Guard()
