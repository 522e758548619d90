// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BlindRsa} from "../../contracts/lib/BlindRsa.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {RsaSigner} from "./RsaSigner.sol";
import {vm} from "./Vm.sol";

/// @dev The library takes calldata, so somebody has to call.
contract BlindRsaCaller {
    function isSigned(bytes32 digest, bytes32[8] calldata signature, bytes32[8] calldata modulus)
        external
        view
        returns (bool)
    {
        return BlindRsa.isSigned(digest, signature, modulus);
    }

    function isBelow(bytes32[8] calldata a, bytes32[8] calldata b) external pure returns (bool) {
        return BlindRsa.isBelow(a, b);
    }
}

contract BlindRsaTest is RsaSigner {
    BlindRsaCaller private rsa = new BlindRsaCaller();

    function test_isSigned_knownAnswers() public view {
        for (uint256 i = 0; i < KnownPasses.COUNT; ++i) {
            KnownPasses.Known memory k = KnownPasses.get(i);
            vm.assertTrue(rsa.isSigned(k.digest, k.signature, KnownPasses.modulus()));
            bytes32[8] memory again = sign(k.digest);
            for (uint256 j = 0; j < 8; ++j) {
                vm.assertEq(again[j], k.signature[j]); // one signature for a message
            }
        }
    }

    /// @dev Numbers of any length in common: the first word in which they differ says it, and equal ones are not below each other.
    function testFuzz_isBelow(bytes32[8] memory a, uint256 alike, uint256 delta) public view {
        alike %= 8;
        bytes32[8] memory b;
        for (uint256 i = 0; i < 8; ++i) {
            b[i] = i < alike ? a[i] : ~a[i]; // what follows says the contrary, or not
        }
        vm.assertFalse(rsa.isBelow(a, a));
        uint256 word = uint256(a[alike]);
        if (word != 0) {
            b[alike] = bytes32(word - 1 - delta % word);
            vm.assertTrue(rsa.isBelow(b, a));
            vm.assertFalse(rsa.isBelow(a, b));
        }
    }

    function test_isSigned_withLeadingZeros() public view {
        KnownPasses.Known memory k = KnownPasses.withLeadingZero();
        vm.assertEq(uint8(k.signature[0][0]), 0);
        vm.assertTrue(rsa.isSigned(k.digest, k.signature, KnownPasses.modulus()));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_isSigned_anyDigest(bytes32 digest) public view {
        vm.assertTrue(rsa.isSigned(digest, sign(digest), KnownPasses.modulus()));
    }

    /// @dev One bit of anything.
    function testFuzz_isSigned_failsIfChanged(uint256 which, uint256 bit, uint8 what) public view {
        KnownPasses.Known memory k = KnownPasses.get(which % KnownPasses.COUNT);
        bytes32[8] memory modulus = KnownPasses.modulus();
        bytes32 flip = bytes32(1 << (bit % 256));
        uint256 word = (bit >> 8) % 8;
        if (what % 3 == 0) k.digest ^= flip;
        else if (what % 3 == 1) k.signature[word] ^= flip;
        else modulus[word] ^= flip;
        vm.assertFalse(rsa.isSigned(k.digest, k.signature, modulus));
    }

    /// @dev s + N has the same power as s: a second signature of one message, if it were taken.
    function test_isSigned_failsAboveTheModulus() public view {
        KnownPasses.Known memory k = KnownPasses.withLeadingZero();
        bytes32[8] memory modulus = KnownPasses.modulus();
        bytes32[8] memory twin = sum(k.signature, modulus);
        vm.assertTrue(equal(power(twin, modulus), power(k.signature, modulus)));
        vm.assertFalse(rsa.isSigned(k.digest, twin, modulus));
        vm.assertFalse(rsa.isSigned(k.digest, modulus, modulus));
        for (uint256 i = 0; i < 8; ++i) {
            twin[i] = bytes32(type(uint256).max);
        }
        vm.assertFalse(rsa.isSigned(k.digest, twin, modulus));
    }

    /// @dev Numbers whose power is known without a key, and moduli that are none.
    function testFuzz_isSigned_failsForTrivialNumbers(bytes32 digest) public view {
        bytes32[8] memory number;
        bytes32[8] memory modulus = KnownPasses.modulus();
        vm.assertFalse(rsa.isSigned(digest, number, modulus));
        vm.assertFalse(rsa.isSigned(digest, number, number));
        number[7] = bytes32(uint256(1));
        vm.assertFalse(rsa.isSigned(digest, number, modulus));
        vm.assertFalse(rsa.isSigned(digest, modulus, number));
        bytes32[8] memory minusOne = modulus;
        minusOne[7] = bytes32(uint256(minusOne[7]) - 1);
        vm.assertFalse(rsa.isSigned(digest, minusOne, modulus));
    }

    /// @dev RFC 8017, section 9.1.1, byte by byte, as the RFC has it.
    function testFuzz_encode(bytes32 digest) public pure {
        bytes memory h = abi.encodePacked(sha256(abi.encodePacked(bytes8(0), digest)));
        bytes memory mask;
        for (uint32 counter = 0; counter < 7; ++counter) {
            mask = abi.encodePacked(mask, sha256(abi.encodePacked(h, counter)));
        }
        bytes memory expected = new bytes(256);
        for (uint256 i = 0; i < 256; ++i) {
            if (i < 223) expected[i] = mask[i] ^ (i == 222 ? bytes1(0x01) : bytes1(0x00));
            else expected[i] = i < 255 ? h[i - 223] : bytes1(0xbc);
        }
        expected[0] &= 0x7f;
        vm.assertEq(keccak256(abi.encodePacked(BlindRsa.encode(digest))), keccak256(expected));
    }

    function sum(bytes32[8] memory a, bytes32[8] memory b) private pure returns (bytes32[8] memory c) {
        uint256 carry = 0;
        for (uint256 i = 8; i != 0; --i) {
            unchecked {
                uint256 s = uint256(a[i - 1]) + carry;
                carry = s < carry ? 1 : 0;
                c[i - 1] = bytes32(s + uint256(b[i - 1]));
                if (uint256(c[i - 1]) < s) carry = 1;
            }
        }
        vm.assertEq(carry, 0);
    }

    function power(bytes32[8] memory base, bytes32[8] memory modulus) private view returns (bytes32[8] memory) {
        return modexp(base, abi.encodePacked(uint24(65_537)), modulus);
    }

    function equal(bytes32[8] memory a, bytes32[8] memory b) private pure returns (bool) {
        return keccak256(abi.encodePacked(a)) == keccak256(abi.encodePacked(b));
    }
}
