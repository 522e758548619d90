// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title A binary Merkle tree with stored inner nodes that grows with its leaves
/// @notice node = keccak256(left . right), an empty leaf is zero, depth = ceil(log2(count)), and the empty subtree of height
/// k + 1 is the hash of two of height k. Leaves are the caller's to know; only their parents are kept.
library RelayTree {
    /// @param nodes Inner nodes by level (1 just above the leaves) and index from the left: level << 32 | index. The tree
    /// of one leaf has no inner node and stands at key 0.
    struct Tree {
        mapping(uint256 key => bytes32 node) nodes;
    }

    /// @dev Replaces the leaf at `position` and rebuilds the path above it.
    /// @param tree The tree
    /// @param position Place of the leaf, below `count`
    /// @param count Number of positions, this one included
    /// @param leaf The new leaf
    /// @param sibling The other leaf below the same parent; zero when there is none
    function set(Tree storage tree, uint256 position, uint256 count, bytes32 leaf, bytes32 sibling) internal {
        bytes32 node = leaf;
        bytes32 emptySubtree = bytes32(0);
        uint256 index = position;
        // A level has nodes above it as long as its last node is not its only one.
        for (uint256 level = 0; (count - 1) >> level != 0; ++level) {
            if (level != 0) {
                uint256 neighbour = neighbourOf(index);
                bool empty = neighbour << level >= count;
                sibling = empty ? emptySubtree : tree.nodes[level << 32 | neighbour];
            }
            node = index & 1 == 0 ? _hash(node, sibling) : _hash(sibling, node);
            emptySubtree = _hash(emptySubtree, emptySubtree);
            index >>= 1;
            tree.nodes[(level + 1) << 32 | index] = node;
        }
        if (count == 1) tree.nodes[0] = node;
    }

    /// @dev The root over `count` positions; zero when there are none.
    function root(Tree storage tree, uint256 count) internal view returns (bytes32) {
        uint256 depth = 0;
        for (uint256 width = 1; width < count; width <<= 1) {
            ++depth;
        }
        return tree.nodes[depth << 32];
    }

    /// @dev The other child of the same parent.
    function neighbourOf(uint256 index) internal pure returns (uint256) {
        // slither-disable-next-line incorrect-exp (exclusive or is meant)
        return index ^ 1;
    }

    function _hash(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return Hashes.efficientKeccak256(left, right);
    }
}
