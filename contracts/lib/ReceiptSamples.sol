// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Checking random samples of a batch's receipts, all in one walk down both of its trees
/// @notice The receipts' values, laid end to end, are a line of `amount` units. Points on it are drawn from a seed, and under
/// each there must stand a receipt: a leaf of the receipts' Merkle-sum tree whose response opens the lock that stands at
/// the same position of the locks' tree.
///
/// Samples: n u8, then n positions u32, ascending, then the walk. The walk visits the nodes above the positions, left before
/// right:
/// - at a leaf it reads response 32 . value u64 . lock 20;
/// - for a child without any of the positions it reads hash 32 . sum u64 . locks' node 32.
/// Both roots and the sum follow from what was read, so a wrong byte anywhere makes another root. As everything is read from
/// left to right, the sum of what was read is where the next leaf begins on the line. The leaves read are those under points
/// and no others: for one seed, one string of bytes is accepted.
/// @dev Positions only steer the walk; that they are true follows from the roots. The trees are those of
/// IReceiptCourt. A node of the receipts' tree commits both children's sums: with one alone a prover could move value from
/// one child to the other after the draw.
library ReceiptSamples {
    /// @notice Points drawn. A share f of the sum that no receipts back goes unnoticed with probability (1 - f)^16.
    uint256 internal constant POINTS = 16;

    /// @notice Thrown when a leaf that was read is no receipt, no point lies under it, or one lies where nothing was opened; and
    /// when positions are not ascending places in the tree.
    error NoReceipt();

    uint256 private constant _LEAF_SIZE = 60;
    uint256 private constant _NODE_SIZE = 72;

    /// @dev x of the curve's base point, whose y is even; and the order of its group.
    uint256 private constant _BASE_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 private constant _ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    /// @dev Where a walk stands.
    struct Walk {
        uint256 at; // in calldata; behind the end it reads zeros, or what other arguments there are
        uint256 sum; // of all that was read: where the next leaf begins
        uint256 point; // the first that does not lie under what was read
        uint256 hit; // how many do
        uint256[] points; // ascending, the last beyond all sums
        uint256[] positions;
    }

    /// @notice Whether the samples show a receipt under each of the points that the seed draws below `amount`.
    /// @param samples See above
    /// @param seed Draws the points
    /// @param receiptsRoot Root of the receipts' tree
    /// @param locksRoot Root of the locks' tree
    /// @param count Leaves of each, not zero
    /// @param amount Sum of the receipts' tree, not zero
    function prove(
        bytes calldata samples,
        bytes32 seed,
        bytes32 receiptsRoot,
        bytes32 locksRoot,
        uint256 count,
        uint256 amount
    ) internal pure returns (bool) {
        uint256 level = 0;
        while ((count - 1) >> level != 0) ++level;
        uint256 start;
        assembly ("memory-safe") {
            start := samples.offset
        }
        uint256 end = start + samples.length;
        (uint256[] memory positions, uint256 at) = _positions(start, level);
        uint256[] memory points = drawPoints(seed, amount);
        Walk memory walk = Walk(at, 0, points[0], 0, points, positions);
        (bytes32 receipts, uint256 sum, bytes32 locks) = _node(walk, level, 0, positions.length);
        return receipts == receiptsRoot && locks == locksRoot && sum == amount && walk.hit == POINTS && walk.at == end;
    }

    /// @notice The points below `amount` that a seed draws: keccak256(seed . k u256) mod amount for k from 0 to 15, in
    /// ascending order; behind them one that is beyond all sums.
    function drawPoints(bytes32 seed, uint256 amount) internal pure returns (uint256[] memory points) {
        points = new uint256[](POINTS + 1);
        points[POINTS] = type(uint256).max;
        for (uint256 k = 0; k < POINTS; ++k) {
            uint256 point = uint256(Hashes.efficientKeccak256(seed, bytes32(k))) % amount;
            uint256 i = k;
            for (; i != 0 && points[i - 1] > point; --i) {
                points[i] = points[i - 1];
            }
            points[i] = point;
        }
    }

    /// @dev Walks the subtree of height `level` that holds the positions [from, to). Sums are added up in 256 bits, and the
    /// root's is 64 bits wide: one that is committed as another number, or too large, does not go unnoticed.
    function _node(Walk memory walk, uint256 level, uint256 from, uint256 to)
        private
        pure
        returns (bytes32 receipts, uint256 sum, bytes32 locks)
    {
        if (from == to) return _beside(walk);
        if (level == 0) return _leaf(walk);

        uint256 middle = from;
        unchecked {
            --level;
            while (middle != to && walk.positions[middle] >> level & 1 == 0) ++middle;
        }
        (receipts, sum, locks) = _node(walk, level, from, middle);
        (bytes32 rightReceipts, uint256 rightSum, bytes32 rightLocks) = _node(walk, level, middle, to);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, receipts)
            mstore(add(free, 0x20), shl(192, sum))
            mstore(add(free, 0x28), rightReceipts)
            mstore(add(free, 0x48), shl(192, rightSum))
            receipts := keccak256(free, 0x50)
            sum := add(sum, rightSum)
            mstore(free, locks)
            mstore(add(free, 0x20), rightLocks)
            locks := keccak256(free, 0x40)
        }
    }

    /// @dev Reads a subtree without positions. No point may lie under it.
    function _beside(Walk memory walk) private pure returns (bytes32 receipts, uint64 sum, bytes32 locks) {
        (uint256 at, uint256 end) = (walk.at, walk.sum);
        unchecked {
            assembly ("memory-safe") {
                receipts := calldataload(at)
                sum := shr(192, calldataload(add(at, 0x20)))
                locks := calldataload(add(at, 0x28))
            }
            end += sum;
            walk.at = at + _NODE_SIZE;
        }
        walk.sum = end;
        if (walk.point < end) revert NoReceipt();
    }

    /// @dev Reads a receipt, checks it, and counts the points under it.
    function _leaf(Walk memory walk) private pure returns (bytes32 receipts, uint64 value, bytes32 locks) {
        uint256 at = walk.at;
        uint256 response;
        address lock;
        assembly ("memory-safe") {
            response := calldataload(at)
            value := shr(192, calldataload(add(at, 0x20)))
            lock := shr(96, calldataload(add(at, 0x28)))
        }
        uint256 end = walk.sum + value;
        if (walk.point >= end || !opens(response, lock)) revert NoReceipt();
        receipts = keccak256(abi.encodePacked(response, value));
        locks = keccak256(abi.encodePacked(lock, value));

        walk.at = at + _LEAF_SIZE;
        walk.sum = end;
        do {
            ++walk.hit;
        } while (walk.points[walk.hit] < end);
        walk.point = walk.points[walk.hit];
    }

    /// @notice Whether a lock is the address of response . G.
    /// @dev ecrecover of hash h with r and s gives the address of r^-1 (s R - h G) for the point R with that r. With R = G,
    /// h = 0 and s = response . r the point is response . G. A response of 0 makes s = 0, for which it gives no address.
    function opens(uint256 response, address lock) internal pure returns (bool) {
        if (response >= _ORDER || lock == address(0)) return false;
        return ecrecover(0, 27, bytes32(_BASE_X), bytes32(mulmod(response, _BASE_X, _ORDER))) == lock;
    }

    /// @dev Reads positions, which must be ascending places in a tree of this height; and where the walk begins. Of more than
    /// there are points, some leaf has none under it.
    function _positions(uint256 start, uint256 level) private pure returns (uint256[] memory positions, uint256 at) {
        uint256 length;
        assembly ("memory-safe") {
            length := byte(0, calldataload(start))
        }
        positions = new uint256[](length);
        at = start + 1;
        uint256 next = 0;
        for (uint256 i = 0; i < length; ++i) {
            uint256 position;
            assembly ("memory-safe") {
                position := shr(224, calldataload(at))
            }
            if (position < next || position >> level != 0) revert NoReceipt();
            positions[i] = position;
            next = position + 1;
            at += 4;
        }
    }
}
