// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Verification of blind RSA signatures, once unblinded
/// @notice RSASSA-PSS (RFC 8017, section 8.1.2; RFC 9474) with a modulus of exactly 2,048 bits, e = 65537, SHA-256, MGF1 with
/// SHA-256 and an empty salt. Without a salt a message has one encoding only; so it is built and compared, where the RFC
/// takes the signature's apart.
/// @dev Signature and modulus are big-endian numbers in 256 bytes: the types leave no other length. Who uses this answers
/// for the modulus: one whose first bit is not set has another encoding, and nothing honest verifies under it.
library BlindRsa {
    uint256 private constant _SIZE = 256;
    uint256 private constant _EXPONENT_SIZE = 3;
    uint24 private constant _EXPONENT = 65_537;

    /// @dev The precompile for modular exponentiation (EIP-198).
    address private constant _MODEXP = address(5);

    /// @dev Whether `signature` signs the message with this SHA-256 digest. A signature not below the modulus signs
    /// nothing (RFC 8017, section 5.2.2): there would be two for one message.
    function isSigned(bytes32 digest, bytes32[8] calldata signature, bytes32[8] calldata modulus)
        internal
        view
        returns (bool)
    {
        if (!isBelow(signature, modulus)) return false;
        bytes memory input = abi.encodePacked(_SIZE, _EXPONENT_SIZE, _SIZE, signature, _EXPONENT, modulus);
        (bool done, bytes memory power) = _MODEXP.staticcall(input);
        return done && keccak256(power) == keccak256(abi.encodePacked(encode(digest)));
    }

    /// @dev EMSA-PSS-ENCODE (RFC 8017, section 9.1.1) of a message's digest into 2,047 bits, as 256 bytes:
    /// 222 zero bytes and a 1, masked by MGF1 of H, its first bit cleared; then H; then the byte bc.
    function encode(bytes32 digest) internal pure returns (bytes32[8] memory encoded) {
        bytes32 h = sha256(abi.encodePacked(bytes8(0), digest));
        for (uint32 counter = 0; counter < 7; ++counter) {
            encoded[counter] = sha256(abi.encodePacked(h, counter));
        }
        encoded[0] &= bytes32(type(uint256).max >> 1);
        // The mask ends one byte before its seventh block does: there H begins.
        encoded[6] = (encoded[6] & ~bytes32(uint256(0xff))) ^ bytes32(uint256(0x0100)) | h >> 248;
        encoded[7] = h << 8 | bytes32(uint256(0xbc));
    }

    /// @dev Whether a < b.
    function isBelow(bytes32[8] calldata a, bytes32[8] calldata b) internal pure returns (bool) {
        uint256 i = 0;
        while (i != 7 && a[i] == b[i]) ++i;
        return a[i] < b[i];
    }
}
