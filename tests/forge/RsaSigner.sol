// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BlindRsa} from "../../contracts/lib/BlindRsa.sol";
import {KnownPasses} from "./KnownPasses.sol";

/// @dev Signs with the key of KnownPasses, as an issuer would without the blinding.
abstract contract RsaSigner {
    function sign(bytes32 digest) internal view returns (bytes32[8] memory) {
        bytes memory exponent = abi.encodePacked(KnownPasses.exponent());
        return modexp(BlindRsa.encode(digest), exponent, KnownPasses.modulus());
    }

    function modexp(bytes32[8] memory base, bytes memory exponent, bytes32[8] memory modulus)
        internal
        view
        returns (bytes32[8] memory)
    {
        uint256 size = 256;
        bytes memory input = abi.encodePacked(size, exponent.length, size, base, exponent, modulus);
        (, bytes memory result) = address(5).staticcall(input);
        return abi.decode(result, (bytes32[8]));
    }
}
