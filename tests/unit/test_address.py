"""Printed addresses: round trips, and every mistake is found and named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.address import TEXT_CHARACTERS, Address, checksum, parse
from mixpay.errors import UserError
from mixpay.types import RelayId

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
TYPEABLE = "abcdefghijklmnopqrstuvwxyz0123456789"

addresses = st.builds(
    Address,
    st.binary(min_size=4, max_size=4),
    st.integers(1, 2**32 - 1).map(RelayId),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
)
EXAMPLE = Address(b"mark", RelayId(7), bytes(range(16)), bytes(range(100, 132)))


@given(addresses)
def test_parse_returnsWhatWasPrinted(address: Address) -> None:
    text = str(address)
    assert len(text) == TEXT_CHARACTERS == 100
    assert parse(text) == parse(text.upper()) == parse(f"  {text}\n") == address
    assert Address.from_bytes(address.to_bytes()) == address


@given(addresses, st.integers(0, TEXT_CHARACTERS - 1), st.sampled_from(TYPEABLE))
def test_parse_failsForAnySingleTypo(address: Address, place: int, character: str) -> None:
    text = str(address)
    typo = text[:place] + character + text[place + 1 :]
    if typo != text:
        with pytest.raises(UserError):
            parse(typo)


def test_parse_failsForEverySingleTypoOfOneAddress() -> None:
    text = str(EXAMPLE)
    for place in range(TEXT_CHARACTERS):
        for character in TYPEABLE:
            typo = text[:place] + character + text[place + 1 :]
            if typo != text:
                with pytest.raises(UserError):
                    parse(typo)


@given(addresses, st.data())
def test_parse_failsForUpToThreeWrongCharacters(address: Address, data: st.DataObject) -> None:
    text = str(address)
    places = data.draw(st.sets(st.integers(4, TEXT_CHARACTERS - 1), min_size=1, max_size=3))
    letters = list(text)
    for place in places:
        letters[place] = data.draw(st.sampled_from([c for c in ALPHABET if c != text[place]]))
    with pytest.raises(UserError, match="checksum"):
        parse("".join(letters))


@given(addresses, st.integers(4, TEXT_CHARACTERS - 2))
def test_parse_failsForSwappedNeighbours(address: Address, place: int) -> None:
    text = str(address)
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped != text:
        with pytest.raises(UserError, match="checksum"):
            parse(swapped)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with mix1"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "begins with mix1"),
        (str(EXAMPLE)[:-1], "99 characters instead of 100: a part is missing"),
        (str(EXAMPLE) + "q", "101 characters instead of 100: something was added"),
        (str(EXAMPLE)[:20] + "b" + str(EXAMPLE)[21:], "character 21 of the address, 'b'"),
        (str(EXAMPLE)[:-1] + ("q" if str(EXAMPLE)[-1] != "q" else "p"), "wrong checksum"),
        (str(EXAMPLE)[:10].upper() + str(EXAMPLE)[10:], "mixes capital and small"),
    ],
)
def test_parse_saysWhatIsWrong(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text)


def test_parse_refusesForeignLettersWhoseSmallFormIsOurs() -> None:
    """The sign of the kelvin is a capital letter, and its small one is our k."""
    address = next(
        a for n in range(1, 99) if "k" in str(a := Address(bytes(4), RelayId(n), bytes(16), bytes(32)))
    )
    assert parse(str(address).upper()) == address
    with pytest.raises(UserError, match="do not occur in addresses"):
        parse(str(address).upper().replace("K", "\u212a"))


@pytest.mark.parametrize("first", ["q", "p"])
def test_parse_failsForRelayZeroOrDirtyPadding(first: str) -> None:
    symbols = [0] * 90
    if first == "p":
        symbols[12], symbols[-1] = 2, 1
    text = "mix1" + "".join(ALPHABET[s] for s in symbols + checksum("mix", symbols))
    with pytest.raises(UserError, match="means nothing"):
        parse(text)


@pytest.mark.parametrize(
    "vector",
    [
        "a1lqfn3a",
        "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
        "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
        "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
        "?1v759aa",
    ],
)
def test_checksum_agreesWithBip350(vector: str) -> None:
    prefix, data = vector.rsplit("1", 1)
    symbols = [ALPHABET.index(c) for c in data]
    assert checksum(prefix, symbols[:-6]) == symbols[-6:]


@pytest.mark.parametrize(
    ("mark", "relay", "mailbox", "identity"),
    [(4, 0, 16, 32), (4, 2**32, 16, 32), (4, 1, 15, 32), (4, 1, 16, 33), (3, 1, 16, 32)],
)
def test_address_failsIfAFieldHasAnotherWidth(mark: int, relay: int, mailbox: int, identity: int) -> None:
    with pytest.raises(ValueError):
        Address(bytes(mark), RelayId(relay), bytes(mailbox), bytes(identity))
