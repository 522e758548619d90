// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Checking random samples of a batch's receipts, all in one walk down both of its trees
/// @notice The receipts' values, laid end to end, are a line of `amount` units. Points on it are drawn from a seed, and under
/// each there must stand a receipt: a leaf of the receipts' Merkle-sum tree whose response opens the lock that stands at
/// the same position of the locks' tree.
///
/// Samples: n u8, then n positions u32, then the walk. The walk visits the nodes above the positions, left before right:
/// - at a leaf it reads response 32 . value u64 . lock 20;
/// - for a child without any of the positions it reads hash 32 . sum u64 . locks' node 32.
/// Both roots and the sum follow from what was read, so a wrong byte anywhere makes another root. As everything is read from
/// left to right, the sum of what was read is where the next leaf begins on the line.
/// @dev Positions only steer the walk; that they are true follows from the roots. The trees are those of
/// IReceiptCourt. A node of the receipts' tree commits both children's sums: with one alone a prover could move value from
/// one child to the other after the draw.
library ReceiptSamples {
    /// @notice Points drawn. A share f of the sum that no receipts back goes unnoticed with probability (1 - f)^16.
    uint256 internal constant POINTS = 16;

    uint256 private constant _LEAF_SIZE = 60;
    uint256 private constant _NODE_SIZE = 72;

    /// @dev x of the curve's base point, whose y is even; and the order of its group.
    uint256 private constant _BASE_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 private constant _ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    /// @dev Where a walk stands.
    struct Walk {
        uint256[] points; // ascending
        uint256[] positions;
        uint256 hit; // points that lie under what was read
        uint256 sum; // of all that was read: where the next leaf begins
        uint256 offset; // into the samples
    }

    /// @dev A subtree of both trees.
    struct Node {
        bytes32 receipts;
        uint256 sum;
        bytes32 locks;
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
        uint256[] memory positions = _positions(samples);
        if (positions.length == 0 || samples.length < 1 + 4 * positions.length) return false;
        Walk memory walk = Walk(drawPoints(seed, amount), positions, 0, 0, 1 + 4 * positions.length);

        uint256 level = 0;
        while ((count - 1) >> level != 0) ++level;
        (Node memory root, bool good) = _node(samples, walk, level, 0, positions.length);
        return good && root.receipts == receiptsRoot && root.locks == locksRoot && root.sum == amount
            && walk.hit == POINTS && walk.offset == samples.length;
    }

    /// @notice The points below `amount` that a seed draws: keccak256(seed . k u256) mod amount for k from 0 to 15, in
    /// ascending order.
    function drawPoints(bytes32 seed, uint256 amount) internal pure returns (uint256[] memory points) {
        points = new uint256[](POINTS);
        for (uint256 k = 0; k < POINTS; ++k) {
            uint256 point = uint256(Hashes.efficientKeccak256(seed, bytes32(k))) % amount;
            uint256 i = k;
            for (; i != 0 && points[i - 1] > point; --i) {
                points[i] = points[i - 1];
            }
            points[i] = point;
        }
    }

    /// @dev Walks the subtree of height `level` that holds the positions [from, to).
    function _node(bytes calldata samples, Walk memory walk, uint256 level, uint256 from, uint256 to)
        private
        pure
        returns (Node memory node, bool good)
    {
        if (from == to) return _beside(samples, walk);
        if (level == 0) return _leaf(samples, walk, to - from);

        uint256 middle = from;
        while (middle != to && walk.positions[middle] >> (level - 1) & 1 == 0) ++middle;
        Node memory right;
        (node, good) = _node(samples, walk, level - 1, from, middle);
        if (!good) return (node, false);
        (right, good) = _node(samples, walk, level - 1, middle, to);
        if (!good) return (node, false);

        node.receipts = _hash(node, right);
        node.sum += right.sum;
        node.locks = Hashes.efficientKeccak256(node.locks, right.locks);
        good = node.sum <= type(uint64).max;
    }

    /// @dev Reads a subtree without positions. No point may lie under it.
    function _beside(bytes calldata samples, Walk memory walk) private pure returns (Node memory node, bool good) {
        uint256 offset = walk.offset;
        if (samples.length < offset + _NODE_SIZE) return (node, false);
        node.receipts = bytes32(samples[offset:]);
        node.sum = uint64(bytes8(samples[offset + 32:]));
        node.locks = bytes32(samples[offset + 40:]);
        walk.offset = offset + _NODE_SIZE;
        walk.sum += node.sum;
        good = walk.hit == POINTS || walk.points[walk.hit] >= walk.sum;
    }

    /// @dev Reads a receipt, checks it, and counts the points under it. There is one position, or the walk is wrong.
    function _leaf(bytes calldata samples, Walk memory walk, uint256 positions)
        private
        pure
        returns (Node memory node, bool good)
    {
        uint256 offset = walk.offset;
        if (positions != 1 || samples.length < offset + _LEAF_SIZE) return (node, false);
        bytes32 response = bytes32(samples[offset:]);
        bytes8 value = bytes8(samples[offset + 32:]);
        address lock = address(bytes20(samples[offset + 40:]));
        walk.offset = offset + _LEAF_SIZE;
        if (!opens(uint256(response), lock)) return (node, false);

        node.receipts = keccak256(abi.encodePacked(response, value));
        node.sum = uint64(value);
        node.locks = keccak256(abi.encodePacked(lock, value));
        walk.sum += node.sum;
        uint256 hit = walk.hit;
        while (hit != POINTS && walk.points[hit] < walk.sum) ++hit;
        walk.hit = hit;
        good = true;
    }

    /// @notice Whether a lock is the address of response . G.
    /// @dev ecrecover of hash h with r and s gives the address of r^-1 (s R - h G) for the point R with that r. With R = G,
    /// h = 0 and s = response . r the point is response . G.
    function opens(uint256 response, address lock) internal pure returns (bool) {
        if (response == 0 || response >= _ORDER || lock == address(0)) return false;
        return ecrecover(0, 27, bytes32(_BASE_X), bytes32(mulmod(response, _BASE_X, _ORDER))) == lock;
    }

    function _positions(bytes calldata samples) private pure returns (uint256[] memory positions) {
        if (samples.length == 0) return positions;
        uint256 number = uint8(samples[0]);
        if (number > POINTS || samples.length < 1 + 4 * number) return positions;
        positions = new uint256[](number);
        for (uint256 i = 0; i < number; ++i) {
            positions[i] = uint32(bytes4(samples[1 + 4 * i:]));
        }
    }

    /// @dev keccak256(left hash . left sum u64 . right hash . right sum u64), beyond the memory in use.
    function _hash(Node memory left, Node memory right) private pure returns (bytes32 hash) {
        (bytes32 leftHash, uint256 leftSum) = (left.receipts, left.sum);
        (bytes32 rightHash, uint256 rightSum) = (right.receipts, right.sum);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, leftHash)
            mstore(add(free, 0x20), shl(192, leftSum))
            mstore(add(free, 0x28), rightHash)
            mstore(add(free, 0x48), shl(192, rightSum))
            hash := keccak256(free, 0x50)
        }
    }
}
