from mixpay.crypto.hashing import keccak256


def test_keccak256_of_nothing_is_the_hash_of_empty_code() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_keccak256_names_a_solidity_function() -> None:
    assert keccak256(b"transfer(address,uint256)")[:4].hex() == "a9059cbb"


def test_keccak256_spans_more_than_one_block_of_the_sponge() -> None:
    # a block is 136 bytes; the digest comes from another implementation of the submission
    from Crypto.Hash import keccak

    for size in (135, 136, 137, 1000):
        data = bytes(range(256)) * 4
        assert keccak256(data[:size]) == keccak.new(digest_bits=256, data=data[:size]).digest()
