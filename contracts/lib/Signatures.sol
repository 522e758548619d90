// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Whether a key signed a digest
library Signatures {
    /// @dev True only for the canonical 65-byte form r . s . v with low s and v 27 or 28. No key recovers to the zero
    /// address here, so an unset signer never matches.
    function isBy(bytes32 digest, address signer, bytes calldata signature) internal pure returns (bool) {
        // slither-disable-next-line unused-return (the third value only details an error)
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature);
        return problem == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
