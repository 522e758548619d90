// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RelayTree} from "../../contracts/lib/RelayTree.sol";
import {Fixture} from "./Fixture.sol";
import {Tools} from "./Tools.sol";
import {vm} from "./Vm.sol";

/// @dev The tree as it is specified: every leaf known, every node computed anew.
abstract contract PlainTree {
    bytes32[] internal leaves;

    function plainRoot() internal view returns (bytes32) {
        if (leaves.length == 0) return 0;
        uint256 width = 1;
        while (width < leaves.length) width *= 2;
        bytes32[] memory row = new bytes32[](width);
        for (uint256 i = 0; i < leaves.length; ++i) {
            row[i] = leaves[i];
        }
        for (; width > 1; width /= 2) {
            for (uint256 i = 0; i < width / 2; ++i) {
                row[i] = keccak256(abi.encodePacked(row[2 * i], row[2 * i + 1]));
            }
        }
        return row[0];
    }
}

/// @dev The library alone: more leaves, and what it stores.
contract RelayTreeTest is Tools, PlainTree {
    using RelayTree for RelayTree.Tree;

    RelayTree.Tree private tree;

    /// @dev Positions are added one by one; between, leaves anywhere are replaced or emptied. After each change the root is
    /// the specified one, and there is one inner node less than positions.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_set(uint256 seed) public {
        vm.assertEq(tree.root(0), 0);
        for (uint256 count = 1; count <= 40; ++count) {
            leaves.push();
            put(count - 1, keccak256(abi.encode(seed, count)));
            vm.assertEq(innerNodes(count), count - 1);
            for (uint256 change = 0; change < 3; ++change) {
                seed = uint256(keccak256(abi.encode(seed)));
                put((seed >> 2) % count, seed % 4 == 0 ? bytes32(0) : bytes32(seed));
            }
            vm.assertEq(innerNodes(count), count - 1);
        }
    }

    function put(uint256 position, bytes32 leaf) private {
        leaves[position] = leaf;
        tree.set(position, leaves.length, leaf);
        vm.assertEq(tree.leafAt(position), leaf);
        vm.assertEq(tree.root(leaves.length), plainRoot());
    }

    /// @dev A change costs one path: a node a level, whatever is used of the tree, and nothing for levels nobody has used yet.
    function test_set_costsOnePath() public {
        uint256 one;
        for (uint256 count = 1; count <= 257; ++count) {
            tree.set(count - 1, count, bytes32(count));
            if (count == 2) one = cost(0, 2);
        }
        uint256 alone = cost(256, 257); // nothing beside it but the node over all others
        uint256 beside = cost(0, 257); // a neighbour on each of nine levels, the highest not stored: nine more to find it
        vm.assertLe(alone, beside);
        vm.assertLe(4 * one, beside);
        vm.assertLe(beside, 13 * one);
        vm.assertLe(cost(128, 257), 13 * one);
    }

    /// @dev Gas for a change of a leaf whose path was changed before.
    function cost(uint256 position, uint256 count) private returns (uint256 gas) {
        tree.set(position, count, "warm");
        gas = gasleft();
        tree.set(position, count, "again");
        gas -= gasleft();
    }

    function innerNodes(uint256 count) private view returns (uint256 found) {
        for (uint256 level = 1; (count - 1) >> (level - 1) != 0; ++level) {
            for (uint256 index = 0; index <= (count - 1) >> level; ++index) {
                if (tree.nodes[level << 32 | index] != 0) ++found;
            }
        }
    }
}

/// @dev The registry's stored tree against one that is built anew after every change.
contract RegistryTreeTest is Fixture, PlainTree {
    address private owner = address(0x0123);

    uint32[] private idAt;
    uint32[] private free;
    uint32 private ids;

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 1000 * uint256(STAKE));
    }

    /// forge-config: default.fuzz.runs = 64
    /// @dev Any order of joins, updates and leaves: the stored tree is the specified one after each, stakes add up.
    function testFuzz_tree(uint256[48] memory steps) public {
        for (uint256 i = 0; i < steps.length; ++i) {
            uint32 position = uint32(bound(steps[i] >> 8, 0, ids == 0 ? 0 : idAt.length - 1));
            uint256 choice = steps[i] % 8;
            if (ids == 0 || choice < 4 || idAt[position] == 0) {
                joinTracked();
            } else if (choice < 6) {
                leaveTracked(position);
            } else {
                bytes32 linkKey = bytes32(steps[i] | 1);
                vm.prank(owner);
                registry.update(idAt[position], linkKey, "host:2");
                leaves[position] = leafOf(idAt[position], operatorOf(position), linkKey, "host:2");
            }
            vm.assertEq(registry.root(), plainRoot());
            vm.assertEq(registry.count(), leaves.length);
        }
        uint256 living = leaves.length - free.length;
        vm.assertEq(token.balanceOf(address(registry)), (living + leftCount()) * STAKE);
    }

    function joinTracked() private {
        uint32 id = join(owner, ids + 1);
        vm.assertEq(id, ++ids);
        uint32 position = uint32(leaves.length);
        if (free.length != 0) {
            position = free[free.length - 1];
            free.pop();
        } else {
            leaves.push();
            idAt.push();
        }
        vm.assertEq(registry.relay(id).position, position);
        idAt[position] = id;
        leaves[position] = leafOf(id, operatorOf(position), bytes32("link"), "host:1");
    }

    function leaveTracked(uint32 position) private {
        vm.prank(owner);
        registry.leave(idAt[position]);
        idAt[position] = 0;
        leaves[position] = 0;
        free.push(position);
    }

    function operatorOf(uint32 position) private view returns (address) {
        return registry.relay(idAt[position]).operator;
    }

    function leftCount() private view returns (uint256) {
        return ids + free.length - leaves.length;
    }
}
