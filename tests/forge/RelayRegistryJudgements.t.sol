// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev What the court can do to a stake, and what it cannot.
contract RelayRegistryJudgementsTest is Fixture {
    address private owner = address(0x0123);
    address private reporter = address(0x4e9);
    uint32 private id;

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 1000 * uint256(STAKE));
        id = join(owner, 1);
    }

    // ---------------------------------------------------------------- slash

    function testFuzz_slash(uint96 wanted, bool left) public {
        wanted = uint96(bound(wanted, 1, type(uint96).max));
        uint96 expected = wanted < STAKE - PENALTY ? wanted : STAKE - PENALTY;
        if (left) leave();
        vm.warp(block.timestamp + 1 hours);
        uint40 due = left ? uint40(block.timestamp) - 1 hours + UNBONDING : uint40(block.timestamp) + UNBONDING;

        if (!left) expectLeft(due);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Slashed(id, expected);
        vm.expectEmit(address(channels));
        emit IChannels.Deposited(address(court), expected);
        vm.assertEq(slash(wanted), expected);

        vm.assertEq(channels.balanceOf(address(court)), expected);
        vm.assertEq(registry.stakeLeft(id), STAKE - expected);
        vm.assertEq(registry.relay(id).withdrawableAt, due);
        vm.assertEq(registry.relay(id).leaf, bytes32(0));
        vm.assertEq(registry.root(), bytes32(0));
        vm.assertEq(token.allowance(address(registry), address(channels)), 0);
        checkHeld();
    }

    /// @dev Slashed in part and evicted: the rest is the owner's, after unbonding, as if it had left.
    function testFuzz_slash_leavesTheRestToTheOwner(uint96 first, uint96 second, address to) public {
        assumeAccount(to);
        vm.assume(token.balanceOf(to) == 0);
        first = uint96(bound(first, 1, STAKE - PENALTY));
        vm.assertEq(slash(first), first);
        uint40 due = registry.relay(id).withdrawableAt;
        vm.warp(due - 1);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.StakeBound.selector, due));
        registry.withdrawStake(id, to);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasLeft.selector));
        registry.leave(id);
        vm.stopPrank();
        uint96 left = STAKE - first;
        second = slash(second);
        vm.assertLe(second, left - PENALTY);
        left -= second;
        vm.warp(due);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.StakeWithdrawn(id, to, left);
        vm.prank(owner);
        registry.withdrawStake(id, to);
        vm.assertEq(token.balanceOf(to), left);
        vm.assertEq(channels.balanceOf(address(court)), uint256(first) + second);
        vm.assertEq(registry.stakeLeft(id), 0);
        checkHeld();
    }

    function test_slash_takesNothingWhereNothingIs() public {
        vm.assertEq(slash(0), 0);
        vm.assertEq(registry.relay(id).withdrawableAt, 0); // nothing wanted: nobody evicted
        vm.startPrank(address(court));
        vm.assertEq(registry.slash(0, 1), 0);
        vm.assertEq(registry.slash(id + 1, 1), 0);
        vm.stopPrank();
        slash(STAKE);
        vm.assertEq(slash(1), 0);
        vm.assertEq(registry.stakeLeft(id), PENALTY);
        id = join(owner, 2);
        leave();
        withdrawAfterUnbonding(STAKE);
        vm.assertEq(slash(1), 0);
        vm.assertEq(channels.balanceOf(address(court)), STAKE - PENALTY);
        checkHeld();
    }

    /// @dev An eviction is a touch like any other: what it changes is not in the epoch that it freezes.
    function test_slash_freezesFirst() public {
        bytes32 root = registry.root();
        goTo(1);
        vm.prevrandao(bytes32(uint256(5)));
        (,, bytes32 beacon) = registry.frozen(1);
        bytes32 drawn = keccak256(abi.encodePacked(beacon, bytes32(uint256(5))));
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Frozen(2, root, 1, drawn);
        slash(1);
        (bytes32 frozenRoot,,) = registry.frozen(2);
        vm.assertEq(frozenRoot, root);
        vm.assertEq(registry.root(), bytes32(0));
    }

    function test_slash_freesThePosition() public {
        join(owner, 2);
        slash(1);
        vm.assertEq(registry.relay(join(owner, 3)).position, 0);
        vm.assertEq(registry.relay(id).leaf, bytes32(0)); // not the newcomer's
        vm.assertEq(registry.count(), 2);
    }

    function testFuzz_courtOnly(address caller) public {
        vm.assume(caller != address(court));
        vm.startPrank(caller);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotCourt.selector));
        registry.slash(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotCourt.selector));
        registry.condemn(id, reporter);
    }

    // ---------------------------------------------------------------- condemn

    function testFuzz_condemn(address anyReporter, bool left) public {
        vm.assume(anyReporter != address(0));
        if (left) leave();
        vm.warp(block.timestamp + 1 hours);
        uint40 due = left ? uint40(block.timestamp) - 1 hours + UNBONDING : uint40(block.timestamp) + UNBONDING;
        if (!left) expectLeft(due);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Condemned(id, anyReporter);
        vm.prank(address(court));
        registry.condemn(id, anyReporter);
        vm.assertEq(registry.reporterOf(id), anyReporter);
        vm.assertEq(registry.relay(id).withdrawableAt, due);
        vm.assertEq(registry.relay(id).leaf, bytes32(0));
        vm.assertEq(registry.stakeLeft(id), STAKE); // nothing is lost before somebody settles
        checkHeld();
    }

    function test_condemn_failsIfReporterIsNobody() public {
        vm.prank(address(court));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidRecipient.selector));
        registry.condemn(id, address(0));
    }

    function test_condemn_failsIfNothingIsAtStake() public {
        leave();
        withdrawAfterUnbonding(STAKE);
        vm.startPrank(address(court));
        for (uint32 gone = id; gone <= id + 1; ++gone) {
            vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayGone.selector));
            registry.condemn(gone, reporter);
        }
    }

    function test_condemn_failsTwice() public {
        condemn();
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(address(court));
            vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.AlreadyCondemned.selector));
            registry.condemn(id, owner);
            vm.warp(registry.relay(id).withdrawableAt);
            if (i == 0) registry.settlePenalty(id);
        }
        vm.assertEq(registry.reporterOf(id), reporter);
    }

    // ---------------------------------------------------------------- settlePenalty

    /// @dev Any judgements before, any order of settlement and withdrawal, a judgement between the two: every unit of
    /// the stake goes where it should, and neither the penalty nor the owner's part depends on the order.
    function testFuzz_settlePenalty(uint96 before, uint96 between, bool ownerFirst, bool condemnedFirst) public {
        if (condemnedFirst) condemn();
        before = slash(before);
        if (!condemnedFirst) condemn();
        uint96 bounty = PENALTY / 20;
        if (ownerFirst) {
            withdrawAfterUnbonding(STAKE - before - PENALTY);
            vm.assertEq(registry.stakeLeft(id), PENALTY);
            checkHeld();
            vm.assertEq(slash(between), 0); // what the owner left behind is the penalty's
            settle(bounty, PENALTY - bounty);
        } else {
            settle(bounty, PENALTY - bounty);
            vm.assertEq(registry.stakeLeft(id), STAKE - before - PENALTY);
            checkHeld();
            between = slash(between);
            vm.assertLe(between, STAKE - before - PENALTY);
            vm.assertEq(registry.stakeLeft(id), STAKE - before - between - PENALTY);
            withdrawAfterUnbonding(STAKE - before - PENALTY - between);
            vm.assertEq(channels.balanceOf(address(court)), uint256(before) + between);
        }
        vm.assertEq(channels.balanceOf(reporter), bounty);
        vm.assertEq(registry.burnt(), PENALTY - bounty);
        vm.assertEq(registry.stakeLeft(id), 0);
        vm.assertEq(token.allowance(address(registry), address(channels)), 0);
        checkHeld();
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.PenaltyAlreadySettled.selector));
        registry.settlePenalty(id);
    }

    /// @dev Of less than 20 there is no bounty, and no deposit.
    function testFuzz_settlePenalty_roundsTheBountyDown(uint96 penalty) public {
        penalty = uint96(bound(penalty, 0, 60));
        registry = new RelayRegistry(token, network, STAKE, UNBONDING, channels, address(court), penalty);
        give(owner, address(registry), STAKE);
        id = join(owner, 1);
        condemn();
        vm.recordLogs();
        registry.settlePenalty(id);
        uint96 bounty = penalty / 20;
        if (bounty == 0) vm.assertEq(vm.getRecordedLogs().length, 1); // the registry's own
        vm.assertEq(registry.burnt(), penalty - bounty);
        vm.assertEq(channels.balanceOf(reporter), bounty);
        checkHeld();
    }

    /// @dev A relay whose judgements have taken all they can loses the penalty all the same, and nothing else is left.
    function test_settlePenalty_isOutOfJudgementsReach() public {
        vm.assertEq(slash(type(uint96).max), STAKE - PENALTY);
        condemn();
        vm.assertEq(slash(1), 0);
        settle(PENALTY / 20, PENALTY - PENALTY / 20);
        vm.assertEq(slash(1), 0);
        withdrawAfterUnbonding(0);
        checkHeld();
    }

    function test_settlePenalty_failsIfNotCondemned() public {
        slash(1);
        vm.warp(registry.relay(id).withdrawableAt);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotCondemned.selector));
        registry.settlePenalty(id);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotCondemned.selector));
        registry.settlePenalty(id + 1);
    }

    /// @dev A condemned relay's owner waits like any other, whether the penalty is settled or not.
    function testFuzz_condemn_bindsTheRest(uint40 wait, bool settled) public {
        condemn();
        uint40 due = registry.relay(id).withdrawableAt;
        vm.warp(block.timestamp + bound(wait, 0, UNBONDING - 1));
        if (settled) registry.settlePenalty(id);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.StakeBound.selector, due));
        registry.withdrawStake(id, owner);
    }

    /// @dev One relay's charges are no other's.
    function test_penalties_addUp() public {
        condemn();
        uint32 first = id;
        join(owner, 2);
        id = join(owner, 3);
        condemn();
        vm.warp(registry.relay(id).withdrawableAt);
        settle(PENALTY / 20, PENALTY - PENALTY / 20);
        id = first;
        settle(PENALTY / 20, PENALTY - PENALTY / 20);
        vm.assertEq(registry.burnt(), 2 * (PENALTY - PENALTY / 20));
        vm.assertEq(channels.balanceOf(reporter), PENALTY / 10);
        vm.assertEq(registry.stakeLeft(2), STAKE);
        checkHeld();
    }

    // ---------------------------------------------------------------- helpers

    function slash(uint96 wanted) private returns (uint96) {
        vm.prank(address(court));
        return registry.slash(id, wanted);
    }

    function condemn() private {
        vm.prank(address(court));
        registry.condemn(id, reporter);
    }

    function leave() private {
        vm.prank(owner);
        registry.leave(id);
    }

    function expectLeft(uint40 due) private {
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Left(id, registry.relay(id).position, due);
    }

    function settle(uint96 bounty, uint96 burnt) private {
        vm.expectEmit(address(registry));
        emit IRelayRegistry.PenaltySettled(id, reporter, bounty, burnt);
        registry.settlePenalty(id);
    }

    function withdrawAfterUnbonding(uint96 expected) private {
        vm.warp(registry.relay(id).withdrawableAt);
        uint256 before = token.balanceOf(owner);
        vm.prank(owner);
        registry.withdrawStake(id, owner);
        vm.assertEq(token.balanceOf(owner) - before, expected);
    }

    /// @dev I1 of the registry.
    function checkHeld() private view {
        uint256 held = registry.burnt();
        for (uint32 relay = 1; relay <= 3; ++relay) {
            held += registry.stakeLeft(relay);
        }
        vm.assertEq(token.balanceOf(address(registry)), held);
    }
}
