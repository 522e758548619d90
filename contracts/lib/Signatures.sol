// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Whether a key signed a digest
library Signatures {
    /// @dev True only for the canonical 65-byte form r . s . v with low s and v 27 or 28. No key recovers to the zero
    /// address here, so an unset signer never matches.
    function isBy(bytes32 digest, address signer, bytes calldata signature) internal pure returns (bool) {
        if (signature.length != 65) return false;
        (bytes32 r, bytes32 s, uint8 v) = (bytes32(signature[:32]), bytes32(signature[32:]), uint8(signature[64]));
        // slither-disable-next-line unused-return (the third value only details an error)
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, v, r, s);
        return problem == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @dev The same for the compact form of EIP-2098: r . (v - 27) << 255 | s.
    function isBy(bytes32 digest, address signer, bytes32 r, bytes32 vs) internal pure returns (bool) {
        // slither-disable-next-line unused-return (the third value only details an error)
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, r, vs);
        return problem == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
