// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev What the registry freezes for an epoch, and its beacon.
contract RelayRegistryEpochsTest is Fixture {
    address private owner = address(0x0123);

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 1000 * uint256(STAKE));
    }

    /// @dev What changes in an epoch is frozen from the first touch of the next epoch on, not before.
    function test_freeze_takesTheStateBeforeTheFirstTouch() public {
        uint32 a = join(owner, 1);
        checkFrozen(1, 0, 0);
        bytes32 rootOfOne = registry.root();
        goTo(1);
        vm.assertFalse(registry.isFrozen(2));
        join(owner, 2);
        checkFrozen(2, rootOfOne, 1);
        bytes32 rootOfTwo = registry.root();
        goTo(2);
        vm.prank(owner);
        registry.update(a, bytes32("b"), "host:2");
        checkFrozen(3, rootOfTwo, 2);
        goTo(3);
        bytes32 before = registry.root();
        vm.prank(owner);
        registry.leave(a);
        checkFrozen(4, before, 2);
        checkFrozen(2, rootOfOne, 1);
    }

    /// @dev However long nobody touched the registry, an epoch costs the same to read: a search from the epoch itself would end no
    /// more in a block some years later.
    function test_frozen_costsTheSame_howeverLongUntouched() public {
        registry.freeze();
        uint256[2] memory costs;
        for (uint256 i = 0; i < 2; ++i) {
            goTo(i == 0 ? 3 : 30_000);
            uint256 before = gasleft();
            registry.frozen(network.currentEpoch());
            costs[i] = before - gasleft();
        }
        vm.assertLe(costs[1], costs[0] + 10_000);
    }

    /// @dev In a gap that a later touch has closed, an epoch costs what lies between it and the last one drawn, and no more.
    function test_frozen_inAGap_costsItsLength() public {
        registry.freeze();
        uint32 drawn = network.currentEpoch() + 1;
        goTo(drawn + 400);
        registry.freeze();
        for (uint32 between = 100; between <= 300; between += 100) {
            uint256 gas = gasleft();
            registry.frozen(drawn + between);
            vm.assertLe(gas - gasleft(), 10_000 + 4000 * uint256(between));
        }
    }

    /// @dev The registry's epochs are Network's, for ever: also when twice the time since genesis has passed, and numbers are large.
    function test_epochs_areTheNetworks_forALongTime() public {
        vm.warp(4 * uint256(GENESIS) + 5 * uint256(EPOCH));
        uint32 epoch = network.currentEpoch();
        vm.assertEq(epoch, 3 * GENESIS / EPOCH + 5);
        vm.assertTrue(registry.isFrozen(epoch));
        vm.assertFalse(registry.isFrozen(epoch + 1));
        vm.warp(4 * uint256(GENESIS) + 65_536 * uint256(EPOCH));
        epoch = network.currentEpoch();
        vm.assertTrue(registry.isFrozen(epoch));
        vm.assertFalse(registry.isFrozen(epoch + 1));
    }

    /// @dev Untouched epochs inherit what was fixed, not what changed since: that could follow the beacon.
    function test_frozen_ofUntouchedEpochs() public {
        (,, bytes32 first) = registry.frozen(0);
        registry.freeze();
        (,, bytes32 drawn) = registry.frozen(1);
        vm.assertEq(drawn, keccak256(abi.encodePacked(first, bytes32(uint256(1)))));
        join(owner, 1);
        goTo(40);
        checkFrozen(40, 0, 0);
        (,, bytes32 beacon) = registry.frozen(40);
        vm.assertEq(beacon, keccak256(abi.encodePacked(drawn, uint32(40))));
        vm.assertFalse(registry.isFrozen(41));
        vm.prevrandao(bytes32(uint256(99)));
        registry.freeze();
        checkFrozen(41, registry.root(), 1);
        (,, bytes32 next) = registry.frozen(41);
        vm.assertEq(next, keccak256(abi.encodePacked(beacon, bytes32(uint256(99)))));
        (,, bytes32 still) = registry.frozen(40);
        vm.assertEq(still, beacon);
        (,, bytes32 between) = registry.frozen(17);
        vm.assertEq(between, keccak256(abi.encodePacked(drawn, uint32(17))));
    }

    function test_freeze_onlyTheFirstTouchDraws() public {
        registry.freeze();
        (bytes32 root, uint32 count, bytes32 beacon) = registry.frozen(1);
        vm.prevrandao(bytes32(uint256(2)));
        join(owner, 1);
        registry.freeze();
        (bytes32 sameRoot, uint32 sameCount, bytes32 sameBeacon) = registry.frozen(1);
        vm.assertEq(root, sameRoot);
        vm.assertEq(count, sameCount);
        vm.assertEq(beacon, sameBeacon);
    }

    function test_frozen_failsIfNotFixedYet() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotFrozen.selector, 1));
        registry.frozen(1);
        goTo(1);
        vm.assertTrue(registry.isFrozen(1));
        registry.freeze();
        vm.assertTrue(registry.isFrozen(2));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotFrozen.selector, 3));
        registry.frozen(3);
    }

    /// @dev A registry of a later release knows nothing of the time before it.
    function test_frozen_failsBeforeItsFirstEpoch() public {
        goTo(5);
        registry = new RelayRegistry(token, network, STAKE, UNBONDING, channels, address(court), PENALTY);
        vm.assertFalse(registry.isFrozen(4));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotFrozen.selector, 4));
        registry.frozen(4);
        vm.assertTrue(registry.isFrozen(5));
        (bytes32 root, uint32 count,) = registry.frozen(5);
        vm.assertTrue(root == 0 && count == 0);
    }

    /// @dev Any touches in any epochs, by hand and by joining and leaving: every epoch has what a plain model says.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_frozen(uint256[16] memory steps) public {
        uint32 epoch = 0;
        uint32 last = 0; // frozen last
        bytes32[] memory roots = new bytes32[](100);
        uint32[] memory counts = new uint32[](100);
        bytes32[] memory beacons = new bytes32[](100);
        beacons[0] = keccak256(abi.encodePacked(bytes32(0), uint256(1)));
        for (uint256 i = 0; i < steps.length; ++i) {
            epoch += uint32(steps[i] % 5);
            goTo(epoch);
            vm.prevrandao(bytes32(steps[i]));
            bytes32 root = registry.root();
            uint32 count = registry.count();
            if (steps[i] >> 8 & 1 == 0) join(owner, i + 1);
            else registry.freeze();
            for (; last < epoch; ++last) {
                (roots[last + 1], counts[last + 1]) = (roots[last], counts[last]);
            }
            if (last == epoch) {
                (roots[++last], counts[last]) = (root, count);
                beacons[last] = keccak256(abi.encodePacked(beaconOf(beacons, epoch), steps[i]));
            }
        }
        for (uint32 e = 0; e <= last; ++e) {
            (bytes32 root, uint32 count, bytes32 beacon) = registry.frozen(e);
            vm.assertEq(root, roots[e]);
            vm.assertEq(count, counts[e]);
            vm.assertEq(beacon, beaconOf(beacons, e));
        }
        vm.assertFalse(registry.isFrozen(last + 1));
    }

    function beaconOf(bytes32[] memory drawn, uint32 epoch) private pure returns (bytes32) {
        uint32 at = epoch;
        while (drawn[at] == 0) --at;
        return at == epoch ? drawn[at] : keccak256(abi.encodePacked(drawn[at], epoch));
    }

    function checkFrozen(uint32 epoch, bytes32 root, uint32 count) private view {
        vm.assertTrue(registry.isFrozen(epoch));
        (bytes32 frozenRoot, uint32 frozenCount, bytes32 beacon) = registry.frozen(epoch);
        vm.assertEq(frozenRoot, root);
        vm.assertEq(frozenCount, count);
        vm.assertTrue(beacon != 0);
    }
}
