// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Paths up a binary Merkle tree
/// @notice node = keccak256(left . right). Bit i of the leaf's index says on which side the i-th sibling stands. So a path
/// is bound to its place in a tree as deep as it is long; higher bits of the index are for the caller to check. A path that
/// is too long or too short leads to no root, because a leaf's preimage here is never as long as a node's 64 bytes.
library MerklePath {
    /// @dev The root above a leaf, its siblings given bottom up.
    function root(bytes32 leaf, uint256 index, bytes32[] calldata siblings) internal pure returns (bytes32 node) {
        node = leaf;
        for (uint256 i = 0; i < siblings.length; ++i) {
            node = _parent(node, index >> i, siblings[i]);
        }
    }

    /// @dev The same in a tree of 64 leaves.
    function root(bytes32 leaf, uint256 index, bytes32[6] calldata siblings) internal pure returns (bytes32 node) {
        node = leaf;
        for (uint256 i = 0; i < 6; ++i) {
            node = _parent(node, index >> i, siblings[i]);
        }
    }

    function _parent(bytes32 node, uint256 index, bytes32 sibling) private pure returns (bytes32) {
        return index & 1 == 0 ? Hashes.efficientKeccak256(node, sibling) : Hashes.efficientKeccak256(sibling, node);
    }
}
