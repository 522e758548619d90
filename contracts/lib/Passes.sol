// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {MerklePath} from "./MerklePath.sol";

/// @title What a pass says and what its ticks prove
/// @notice A pass is a blind signature over a message that holds an *anchor*: the Merkle root over keccak256(head) of 64
/// hash chains. keccak256(link k) = link k - 1; link 0 is the head; k goes up to 256. Tick number 256 * chain + k, from 1 to
/// 16,384, pays for as many packets as its number says.
library Passes {
    /// @dev Packets that one pass pays for.
    uint256 internal constant TICKS = 64 * 256;

    /// @dev SHA-256 of the message that the issuer signed for this contract on this chain. It names the pass.
    function digest(uint32 campaign, uint8 kind, uint32 period, bytes32 anchor) internal view returns (bytes32) {
        uint64 chainId = SafeCast.toUint64(block.chainid);
        return sha256(abi.encodePacked("mixpay-pass-v1", chainId, address(this), campaign, kind, period, anchor));
    }

    /// @dev The registry position that a signature draws; the bias of the remainder is below 2^-223.
    function drawn(bytes32[8] calldata signature, bytes32 beacon, uint32 count) internal pure returns (uint256) {
        return uint256(keccak256(abi.encodePacked(signature, beacon))) % count;
    }

    /// @dev The anchor that a tick leads to, by at most 256 links and 6 siblings.
    /// @param tick Its number, from 1 to `TICKS`
    function anchorOf(uint256 tick, bytes32 link, bytes32[6] calldata siblings) internal pure returns (bytes32) {
        (uint256 chain, uint256 k) = ((tick - 1) / 256, (tick - 1) % 256 + 1);
        return MerklePath.root(_hashed(link, k + 1), chain, siblings);
    }

    /// @dev Hashed so many times. Assembly, eight at a time: in Solidity, which copies 32 bytes to fresh memory for each
    /// hash, 256 of them cost 46,000 gas; so they cost 14,000.
    function _hashed(bytes32 value, uint256 times) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            mstore(0x00, value)
            for { let ones := and(times, 7) } ones { ones := sub(ones, 1) } { mstore(0x00, keccak256(0x00, 0x20)) }
            for { let eights := shr(3, times) } eights { eights := sub(eights, 1) } {
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
            }
            result := mload(0x00)
        }
    }
}
