// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MerklePath} from "../../contracts/lib/MerklePath.sol";
import {Passes} from "../../contracts/lib/Passes.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {vm} from "./Vm.sol";

/// @dev The libraries take calldata, so somebody has to call.
contract PassesCaller {
    function digest(uint32 campaign, uint8 kind, uint32 period, bytes32 anchor) external view returns (bytes32) {
        return Passes.digest(campaign, kind, period, anchor);
    }

    function drawn(bytes32[8] calldata signature, bytes32 beacon, uint32 count) external pure returns (uint256) {
        return Passes.drawn(signature, beacon, count);
    }

    function anchorOf(uint256 tick, bytes32 link, bytes32[6] calldata siblings) external pure returns (bytes32) {
        return Passes.anchorOf(tick, link, siblings);
    }

    function root(bytes32 leaf, uint256 index, bytes32[] calldata siblings) external pure returns (bytes32) {
        return MerklePath.root(leaf, index, siblings);
    }
}

contract PassesTest {
    PassesCaller private passes = new PassesCaller();

    /// @dev Ticks 1, 256, 257, 9,999 and 16,384 of passes that wallets made.
    function test_anchorOf_knownAnswers() public view {
        for (uint256 i = 0; i < KnownPasses.COUNT; ++i) {
            KnownPasses.Known memory k = KnownPasses.get(i);
            vm.assertEq(passes.anchorOf(k.tick, k.link, k.siblings), k.anchor);
        }
    }

    function test_drawn_knownAnswers() public view {
        for (uint256 i = 0; i < KnownPasses.COUNT; ++i) {
            KnownPasses.Known memory k = KnownPasses.get(i);
            vm.assertEq(passes.drawn(k.signature, KnownPasses.BEACON, KnownPasses.POSITIONS), k.position);
            vm.assertEq(passes.drawn(k.signature, KnownPasses.BEACON, 1), 0);
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_anchorOf(uint256 tick, bytes32 link, bytes32[6] memory siblings) public view {
        tick = tick % Passes.TICKS + 1;
        bytes32 node = link;
        for (uint256 k = (tick - 1) % 256 + 1; k != 0; --k) {
            node = keccak256(abi.encode(node));
        }
        node = keccak256(abi.encode(node)); // the head's leaf
        uint256 chain = (tick - 1) / 256;
        for (uint256 i = 0; i < 6; ++i) {
            node = keccak256(chain % 2 == 0 ? abi.encode(node, siblings[i]) : abi.encode(siblings[i], node));
            chain /= 2;
        }
        vm.assertEq(passes.anchorOf(tick, link, siblings), node);
    }

    function testFuzz_digest(uint32 campaign, uint8 kind, uint32 period, bytes32 anchor, uint64 chain) public {
        vm.assume(chain != 0);
        vm.chainId(chain);
        bytes memory where = abi.encodePacked("mixpay-pass-v1", chain, address(passes));
        bytes memory message = abi.encodePacked(where, campaign, kind, period, anchor);
        vm.assertEq(message.length, 83);
        vm.assertEq(passes.digest(campaign, kind, period, anchor), sha256(message));
    }

    function testFuzz_root_ofAnyDepth(bytes32 leaf, uint256 index, bytes32[] memory siblings) public view {
        bytes32 node = leaf;
        for (uint256 i = 0; i < siblings.length; ++i) {
            node = keccak256(index >> i & 1 == 0 ? abi.encode(node, siblings[i]) : abi.encode(siblings[i], node));
        }
        vm.assertEq(passes.root(leaf, index, siblings), node);
    }

    function test_root_ofOneLeaf() public view {
        vm.assertEq(passes.root("leaf", 7, new bytes32[](0)), "leaf");
    }
}
