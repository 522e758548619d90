// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {Network} from "../../contracts/Network.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

contract NetworkTest is Fixture {
    function releaseFor(uint32 epoch, uint96 hopPrice) private pure returns (INetwork.Release memory) {
        return INetwork.Release(address(1), address(2), address(3), 1, hopPrice, epoch);
    }

    function publish(uint32 epoch, uint96 hopPrice) private {
        vm.prank(governor);
        network.publish(releaseFor(epoch, hopPrice));
    }

    function testFuzz_epochs(uint64 genesis, uint32 length, uint64 timestamp) public {
        length = uint32(bound(length, 1, type(uint32).max));
        genesis = uint64(bound(genesis, 0, type(uint40).max));
        uint256 latest = genesis + (uint256(1) << 32) * length - 1;
        timestamp = uint64(bound(timestamp, genesis, latest < type(uint64).max ? latest : type(uint64).max));
        Network n = new Network(genesis, length, governor);
        uint32 epoch = n.epochAt(timestamp);
        vm.assertLe(n.epochStart(epoch), timestamp);
        vm.assertTrue(timestamp < uint256(n.epochStart(epoch)) + length);
        vm.warp(timestamp);
        vm.assertEq(n.currentEpoch(), epoch);
    }

    function test_epochAt_failsBeforeGenesis() public {
        vm.expectRevert(abi.encodeWithSelector(INetwork.BeforeGenesis.selector, GENESIS - 1, GENESIS));
        network.epochAt(GENESIS - 1);
    }

    function test_constructor_failsIfEpochsAreEmpty() public {
        vm.expectRevert(abi.encodeWithSelector(INetwork.InvalidEpochLength.selector));
        new Network(GENESIS, 0, governor);
    }

    function testFuzz_publish(uint32 now_, uint32 a, uint32 b, uint32 asked) public {
        now_ = uint32(bound(now_, 0, type(uint32).max - 2));
        goTo(now_);
        a = uint32(bound(a, now_ + 1, type(uint32).max - 1));
        b = uint32(bound(b, a + 1, type(uint32).max));
        vm.expectEmit(address(network));
        emit INetwork.ReleasePublished(1, a, releaseFor(a, 5));
        publish(a, 5);
        vm.expectEmit(address(network));
        emit INetwork.ReleasePublished(2, b, releaseFor(b, 7));
        publish(b, 7);
        uint96 expected = asked < a ? HOP_PRICE : asked < b ? 5 : 7;
        vm.assertEq(network.releaseAt(asked).hopPrice, expected);
        vm.assertEq(network.release().hopPrice, HOP_PRICE);
        vm.assertEq(network.releaseCount(), 3);
        vm.assertEq(network.releases(1).activationEpoch, a);
    }

    function test_publish_failsIfTooEarly() public {
        goTo(9);
        vm.startPrank(governor);
        vm.expectRevert(abi.encodeWithSelector(INetwork.ActivationTooEarly.selector, 9, 10));
        network.publish(releaseFor(9, 1));
        network.publish(releaseFor(20, 1));
        vm.expectRevert(abi.encodeWithSelector(INetwork.ActivationTooEarly.selector, 20, 21));
        network.publish(releaseFor(20, 1));
    }

    function test_publish_failsIfIncomplete() public {
        INetwork.Release[4] memory bad;
        for (uint256 i = 0; i < bad.length; ++i) {
            bad[i] = releaseFor(5, 1);
        }
        bad[0].registry = address(0);
        bad[1].channels = address(0);
        bad[2].pool = address(0);
        bad[3].hopPrice = 0;
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.prank(governor);
            vm.expectRevert(abi.encodeWithSelector(INetwork.InvalidRelease.selector));
            network.publish(bad[i]);
        }
    }

    function test_publish_failsIfNotOwner() public {
        vm.expectRevert(abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", address(this)));
        network.publish(releaseFor(5, 1));
    }

    function test_publish_firstMayBeNow() public {
        Network n = new Network(GENESIS, EPOCH, address(this));
        goTo(3);
        vm.expectRevert(abi.encodeWithSelector(INetwork.NoRelease.selector, 3));
        n.release();
        vm.expectRevert(abi.encodeWithSelector(INetwork.ActivationTooEarly.selector, 2, 3));
        n.publish(releaseFor(2, 1));
        n.publish(releaseFor(3, 1));
        vm.assertEq(n.release().registry, address(1));
        vm.expectRevert(abi.encodeWithSelector(INetwork.NoRelease.selector, 2));
        n.releaseAt(2);
    }
}
