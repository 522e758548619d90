// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title A binary Merkle tree that is stored whole and grows with its leaves
/// @notice node = keccak256(left . right), an empty leaf is zero, depth = ceil(log2(count)), and the empty subtree of height
/// k + 1 is the hash of two of height k. One change costs one path: whoever makes it supplies no proof.
/// @dev A node is stored from the moment its right half is used; before that it is the hash of its left half and an empty
/// subtree. So each new position makes one new inner node, and no one pays for a whole new branch.
library RelayTree {
    /// @param nodes By level (0: the leaves) and index from the left: level << 32 | index
    struct Tree {
        mapping(uint256 key => bytes32 node) nodes;
    }

    /// @dev Replaces the leaf at `position` and rebuilds the path above it.
    /// @param tree The tree
    /// @param position Place of the leaf, below `count`
    /// @param count Number of positions ever used, this one included
    /// @param leaf The new leaf
    function set(Tree storage tree, uint256 position, uint256 count, bytes32 leaf) internal {
        uint256 lastPosition = count - 1;
        uint256 level = 0;
        uint256 index = position;
        bytes32 node = leaf;
        bytes32 empty = bytes32(0);
        tree.nodes[index] = node;
        // A level whose last node is not its only one has another above it.
        while (lastPosition >> level != 0) {
            uint256 neighbour = _neighbourOf(index);
            bool used = neighbour <= lastPosition >> level;
            bytes32 sibling = used ? _node(tree, level, neighbour, lastPosition) : empty;
            node = index & 1 == 0 ? _hash(node, sibling) : _hash(sibling, node);
            empty = _hash(empty, empty);
            index >>= 1;
            ++level;
            if (used) tree.nodes[level << 32 | index] = node;
        }
    }

    /// @dev The leaf at a position; zero when it is empty.
    function leafAt(Tree storage tree, uint256 position) internal view returns (bytes32) {
        return tree.nodes[position];
    }

    /// @dev The root over `count` positions; zero when there are none.
    function root(Tree storage tree, uint256 count) internal view returns (bytes32) {
        uint256 depth = 0;
        for (uint256 width = 1; width < count; width <<= 1) {
            ++depth;
        }
        return tree.nodes[depth << 32];
    }

    /// @dev A node over at least one position up to `lastPosition`, stored or not.
    function _node(Tree storage tree, uint256 level, uint256 index, uint256 lastPosition)
        private
        view
        returns (bytes32 node)
    {
        uint256 stored = level;
        while (stored != 0 && (index << 1 | 1) << (stored - 1) > lastPosition) {
            index <<= 1;
            --stored;
        }
        node = tree.nodes[stored << 32 | index];
        if (stored == level) return node;
        bytes32 empty = bytes32(0);
        for (uint256 height = 0; height < level; ++height) {
            if (height >= stored) node = _hash(node, empty);
            empty = _hash(empty, empty);
        }
    }

    /// @dev The other child of the same parent.
    function _neighbourOf(uint256 index) private pure returns (uint256) {
        // slither-disable-next-line incorrect-exp (exclusive or is meant)
        return index ^ 1;
    }

    function _hash(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return Hashes.efficientKeccak256(left, right);
    }
}
