// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Whether a key signed a digest
/// @dev Written out in assembly because it stands in the path of every claim: the checks are those of OpenZeppelin's ECDSA,
/// without its copies of the signature and its error values.
library Signatures {
    /// @dev The largest s of a canonical signature (EIP-2): half the order of the curve's group.
    uint256 private constant _HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @dev True only for the canonical 65-byte form r . s . v with low s and v 27 or 28. No key recovers to the zero
    /// address here, so an unset signer never matches.
    function isBy(bytes32 digest, address signer, bytes calldata signature) internal view returns (bool) {
        if (signature.length != 65) return false;
        bytes32 r;
        uint256 s;
        uint8 v;
        assembly ("memory-safe") {
            r := calldataload(signature.offset)
            s := calldataload(add(signature.offset, 0x20))
            v := byte(0, calldataload(add(signature.offset, 0x40)))
        }
        return _isBy(digest, signer, v, r, s);
    }

    /// @dev The same for the compact form of EIP-2098: r . (v - 27) << 255 | s.
    function isBy(bytes32 digest, address signer, bytes32 r, uint256 vs) internal view returns (bool) {
        unchecked {
            return _isBy(digest, signer, 27 + (vs >> 255), r, vs & type(uint256).max >> 1);
        }
    }

    function _isBy(bytes32 digest, address signer, uint256 v, bytes32 r, uint256 s) private view returns (bool good) {
        if (s > _HALF_ORDER || signer == address(0)) return false;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, digest)
            mstore(add(free, 0x20), v)
            mstore(add(free, 0x40), r)
            mstore(add(free, 0x60), s)
            // Zero remains where the precompile returns nothing, as it does for every signature that is none.
            mstore(0, 0)
            pop(staticcall(gas(), 1, free, 0x80, 0, 0x20))
            good := iszero(shl(96, xor(mload(0), signer)))
        }
    }

    /// @dev The EIP-712 digest: keccak256(0x1901 . domain separator . struct hash).
    function digestOf(bytes32 domain, bytes32 structHash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, shl(240, 0x1901))
            mstore(add(free, 0x02), domain)
            mstore(add(free, 0x22), structHash)
            digest := keccak256(free, 0x42)
        }
    }
}
