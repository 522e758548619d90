// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Signatures} from "../../contracts/lib/Signatures.sol";
import {Tools} from "./Tools.sol";
import {vm} from "./Vm.sol";

/// @dev The library reads calldata, so it is called from outside; `scratch` is what earlier code left in the first word of
/// memory.
contract SignatureReader {
    function isBy(bytes32 digest, address signer, bytes calldata signature) external view returns (bool) {
        return Signatures.isBy(digest, signer, signature);
    }

    function isByCompact(bytes32 digest, address signer, bytes32 r, uint256 vs, bytes32 scratch)
        external
        view
        returns (bool)
    {
        assembly ("memory-safe") {
            mstore(0, scratch)
        }
        return Signatures.isBy(digest, signer, r, vs);
    }
}

/// @dev One form of a signature is taken, and nothing beside it.
contract SignaturesTest is Tools {
    uint256 private constant HALF_ORDER = ORDER / 2;
    /// @dev x of the curve's base point: a nonce of one, whose signature exists for every s.
    bytes32 private constant BASE_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;

    SignatureReader private reader = new SignatureReader();

    function testFuzz_isBy(uint256 key, bytes32 digest, bytes32 other) public view {
        key = bound(key, 1, ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes memory signature = abi.encodePacked(r, s, v);
        uint256 vs = uint256(s) | uint256(v - 27) << 255;
        vm.assertTrue(reader.isBy(digest, vm.addr(key), signature));
        vm.assertTrue(reader.isByCompact(digest, vm.addr(key), r, vs, other));
        vm.assertFalse(reader.isBy(digest, address(uint160(uint256(other))), signature));
        if (other != digest) vm.assertFalse(reader.isBy(other, vm.addr(key), signature));
        // The other root of the same signature, with its s beyond the half: as valid to the precompile.
        bytes32 high = bytes32(ORDER - uint256(s));
        vm.assertTrue(ecrecover(digest, v ^ 7, r, high) == vm.addr(key));
        vm.assertFalse(reader.isBy(digest, vm.addr(key), abi.encodePacked(r, high, v ^ 7)));
    }

    /// @dev s may be half the order, and not one more.
    function testFuzz_isBy_edgeOfS(bytes32 digest, bool odd) public view {
        uint8 v = odd ? 28 : 27;
        for (uint256 s = HALF_ORDER - 1; s <= HALF_ORDER + 1; ++s) {
            address signer = ecrecover(digest, v, BASE_X, bytes32(s));
            vm.assertTrue(signer != address(0));
            vm.assertTrue(reader.isBy(digest, signer, abi.encodePacked(BASE_X, s, v)) == (s <= HALF_ORDER));
        }
    }

    /// @dev 65 bytes, whatever stands before and behind: calldata has bytes behind its end too.
    function testFuzz_isBy_failsForAnotherLength(uint256 key, bytes32 digest, uint256 length) public view {
        key = bound(key, 1, ORDER - 1);
        length = bound(length, 0, 130);
        vm.assume(length != 65);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes memory input =
            abi.encodeCall(SignatureReader.isBy, (digest, vm.addr(key), abi.encodePacked(r, s, v, new bytes(65))));
        assembly ("memory-safe") {
            mstore(add(input, 0x84), length) // behind selector, digest, signer and offset
        }
        (bool done, bytes memory result) = address(reader).staticcall(input);
        vm.assertTrue(done);
        vm.assertFalse(abi.decode(result, (bool)));
    }

    /// @dev v is 27 or 28: whoever would be the signer under these is not under another.
    function testFuzz_isBy_failsForAnotherV(bytes32 digest, uint256 v) public view {
        v = bound(v, 0, 255);
        vm.assume(v != 27 && v != 28);
        bytes memory signature = abi.encodePacked(BASE_X, HALF_ORDER, uint8(v));
        for (uint8 right = 27; right <= 28; ++right) {
            vm.assertFalse(reader.isBy(digest, ecrecover(digest, right, BASE_X, bytes32(HALF_ORDER)), signature));
        }
    }

    /// @dev What is no signature is nobody's: not that of the address that stands where the precompile would have written.
    function testFuzz_isBy_failsForNoSignature(bytes32 digest, address signer, uint256 s) public view {
        bytes32 scratch = bytes32(uint256(uint160(signer)));
        vm.assertFalse(reader.isByCompact(digest, signer, bytes32(0), s, scratch));
        vm.assertFalse(reader.isByCompact(digest, signer, BASE_X, 0, scratch));
        vm.assertFalse(reader.isByCompact(digest, address(0), BASE_X, 0, 0));
    }

    /// @dev EIP-712's digest.
    function testFuzz_digestOf(bytes32 domain, bytes32 structHash) public pure {
        vm.assertEq(
            Signatures.digestOf(domain, structHash), keccak256(abi.encodePacked(hex"1901", domain, structHash))
        );
    }
}
