// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev What a relay answers for with its stake: judgements that its channels lack, and keys that it signed twice.
contract ReceiptCourtStakeTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private owner = address(0x0123);
    address private bob = address(0xB0B);
    address private carol = address(0xCA401);
    uint32 private id;

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 10 * uint256(STAKE));
        id = join(owner, KEY);
    }

    // ---------------------------------------------------------------- collectStake

    /// @dev What the channel lacks, and no more than there is.
    function testFuzz_collectStake(uint96 judged, uint96 deposit, uint96 signed) public {
        judged = uint96(bound(judged, 1, 2 * uint256(STAKE)));
        deposit = uint96(bound(deposit, 0, judged - 1));
        open(alice, bob, deposit);
        judge(KEY, bob, judged, 1);
        channels.claim(alice, bob, signed, 1, voucher(KEY, bob, signed, 1)); // paid before, or not
        (, uint96 claimed,) = channels.channel(alice, bob);
        uint256 before = channels.balanceOf(bob) - claimed;
        uint96 lacking = judged - deposit;
        uint96 taken = lacking < STAKE - PENALTY ? lacking : STAKE - PENALTY;
        vm.warp(block.timestamp + GRACE);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Slashed(id, taken);
        vm.expectEmit(address(court));
        emit IReceiptCourt.StakeCollected(alice, bob, id, taken);
        vm.expectEmit(address(channels));
        emit IChannels.Funded(alice, bob, taken, deposit + taken);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(alice, bob, deposit + taken - claimed, deposit + taken);
        vm.prank(carol); // anyone
        vm.assertEq(court.collectStake(alice, bob), taken);
        vm.assertEq(channels.balanceOf(bob) - before, deposit + taken);
        vm.assertEq(channels.balanceOf(address(court)), 0);
        vm.assertEq(registry.stakeLeft(id), STAKE - taken);
        vm.assertEq(registry.relay(id).withdrawableAt, block.timestamp + UNBONDING);
        expectCollectFails(
            lacking > STAKE - PENALTY ? IReceiptCourt.NoStake.selector : IReceiptCourt.NothingLacking.selector
        );
    }

    function test_collectStake_fromTheFirstSecondAfterTheGrace() public {
        judge(KEY, bob, 10, 1);
        uint256 until = block.timestamp + GRACE;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.GraceRunning.selector, until));
        court.collectStake(alice, bob);
        vm.warp(until);
        vm.assertEq(court.collectStake(alice, bob), 10);
    }

    /// @dev A payer that fills its channel in time keeps its stake and its place.
    function testFuzz_collectStake_failsIfNothingLacks(uint96 judged, uint96 more) public {
        expectCollectFails(IReceiptCourt.NothingLacking.selector); // nothing judged
        judged = uint96(bound(judged, 1, type(uint96).max - COURT_COST));
        more = uint96(bound(more, 0, type(uint96).max - judged));
        open(alice, bob, judged + more);
        judge(KEY, bob, judged, 1);
        vm.warp(block.timestamp + GRACE);
        expectCollectFails(IReceiptCourt.NothingLacking.selector);
        // Closing pays what is judged, and takes away only what is not.
        vm.startPrank(alice);
        channels.requestClose(bob);
        vm.warp(block.timestamp + NOTICE);
        channels.finishClose(bob);
        vm.stopPrank();
        expectCollectFails(IReceiptCourt.NothingLacking.selector);
        vm.assertEq(registry.relay(id).withdrawableAt, 0);
    }

    /// @dev A newer judgement gives its own grace, for all of it.
    function test_collectStake_graceBeginsWithTheNewestJudgement() public {
        judge(KEY, bob, 10, 1);
        vm.warp(block.timestamp + GRACE - 1);
        judge(KEY, bob, 20, 2);
        vm.warp(block.timestamp + 1);
        expectGrace(block.timestamp - 1 + GRACE);
        vm.warp(block.timestamp + GRACE - 1);
        vm.assertEq(court.collectStake(alice, bob), 20);
    }

    function expectGrace(uint256 until) private {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.GraceRunning.selector, until));
        court.collectStake(alice, bob);
    }

    function test_collectStake_failsIfThePayerIsNoRelay() public {
        judge(0xA11CE2, bob, 10, 1);
        vm.warp(block.timestamp + GRACE);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NoStake.selector));
        court.collectStake(vm.addr(0xA11CE2), bob);
    }

    /// @dev First come, first served; the last gets what is left, and a new stake is another relay's.
    function test_collectStake_ofManyPayees() public {
        judge(KEY, bob, STAKE / 4, 1);
        judge(KEY, carol, STAKE, 1);
        vm.warp(block.timestamp + GRACE);
        vm.assertEq(court.collectStake(alice, bob), STAKE / 4);
        vm.assertEq(court.collectStake(alice, carol), STAKE - PENALTY - STAKE / 4);
        join(owner, 0xA11CE2);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NoStake.selector));
        court.collectStake(alice, carol);
        vm.assertEq(token.balanceOf(address(registry)), STAKE + PENALTY);
    }

    /// @dev From a relay that has left, until the very moment its owner has withdrawn the rest.
    function test_collectStake_afterTheRelayLeft() public {
        vm.prank(owner);
        registry.leave(id);
        judge(KEY, bob, 10, 1);
        judge(KEY, carol, 10, 1);
        vm.warp(block.timestamp + UNBONDING);
        vm.assertEq(court.collectStake(alice, bob), 10);
        vm.prank(owner);
        registry.withdrawStake(id, owner);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NoStake.selector));
        court.collectStake(alice, carol);
    }

    /// @dev What comes from the stake goes to the payee, not into the payer's pending close, which stays as it is.
    function test_collectStake_ofAClosingChannel() public {
        open(alice, bob, 4);
        vm.prank(alice);
        channels.requestClose(bob);
        judge(KEY, bob, 10, 1);
        (,, uint40 closesAt) = channels.channel(alice, bob);
        vm.warp(closesAt);
        vm.assertEq(court.collectStake(alice, bob), 6);
        (uint96 deposited, uint96 claimed, uint40 due) = channels.channel(alice, bob);
        vm.assertEq(deposited, 10);
        vm.assertEq(claimed, 10);
        vm.assertEq(due, closesAt);
        vm.prank(alice);
        channels.finishClose(bob);
        vm.assertEq(channels.balanceOf(alice), 0);
        expectCollectFails(IReceiptCourt.NothingLacking.selector);
    }

    /// @dev The whole way: receipts, samples, judgement, an empty channel, the stake.
    function test_collectStake_afterSamples() public {
        Receipts memory r = receiptsOf(20, 1);
        Trees memory t = treesOf(r);
        IReceiptCourt.Case memory c = openFirst(KEY, bob, r, t);
        finish(c, r, t);
        uint96 total = uint96(c.amount) * HOP_PRICE + COURT_COST;
        uint256 bond = channels.balanceOf(bob);
        vm.warp(block.timestamp + GRACE);
        vm.assertEq(court.collectStake(alice, bob), total);
        vm.assertEq(channels.balanceOf(bob), bond + total);
    }

    function expectCollectFails(bytes4 reason) private {
        vm.expectRevert(abi.encodeWithSelector(reason));
        court.collectStake(alice, bob);
    }

    // ---------------------------------------------------------------- proveEquivocation

    function testFuzz_proveEquivocation(uint32 epoch, bytes32 a, bytes32 b, address reporter) public {
        vm.assume(a != b && reporter != address(0));
        (bytes memory first, bytes memory second) = (descriptor(KEY, id, epoch, a), descriptor(KEY, id, epoch, b));
        vm.expectEmit(address(court));
        emit IReceiptCourt.Equivocated(id, epoch, reporter);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Condemned(id, reporter);
        vm.prank(reporter);
        court.proveEquivocation(id, epoch, [b, a], second, first);
        vm.assertEq(registry.reporterOf(id), reporter);
        vm.assertEq(registry.relay(id).withdrawableAt, block.timestamp + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.AlreadyCondemned.selector));
        court.proveEquivocation(id, epoch, [a, b], first, second);
    }

    function testFuzz_proveEquivocation_failsIfKeysAreTheSame(uint32 epoch, bytes32 key) public {
        bytes memory signed = descriptor(KEY, id, epoch, key);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.SameKey.selector));
        court.proveEquivocation(id, epoch, [key, key], signed, signed);
    }

    function testFuzz_proveEquivocation_failsIfThereIsNoRelay(uint32 other) public {
        vm.assume(other != id);
        bytes memory signed = descriptor(KEY, other, 3, "a");
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.UnknownRelay.selector, other));
        court.proveEquivocation(other, 3, [bytes32("a"), "b"], signed, signed);
    }

    /// @dev Two keys for two epochs, for two relays, under two operators, on two chains: all of that is right.
    function testFuzz_proveEquivocation_failsIfNothingIsProven(uint32 epoch, uint32 another, uint256 key) public {
        vm.assume(another != epoch);
        key = keyFrom(key);
        vm.assume(key != KEY);
        bytes memory good = descriptor(KEY, id, epoch, "a");
        expectUnproven(epoch, good, descriptor(KEY, id, another, "b"));
        expectUnproven(epoch, good, descriptor(KEY, id + 1, epoch, "b"));
        expectUnproven(epoch, good, descriptor(key, id, epoch, "b"));
        expectUnproven(epoch, good, descriptor(KEY, id, epoch, "c"));
        expectUnproven(epoch, good, good);
        expectUnproven(epoch, good, "");
        expectUnproven(epoch, descriptor(key, id, epoch, "a"), descriptor(KEY, id, epoch, "b"));
        vm.chainId(block.chainid + 1);
        bytes memory elsewhere = descriptor(KEY, id, epoch, "b");
        vm.chainId(block.chainid - 1);
        expectUnproven(epoch, good, elsewhere);
    }

    function expectUnproven(uint32 epoch, bytes memory first, bytes memory second) private {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.InvalidSignature.selector));
        court.proveEquivocation(id, epoch, [bytes32("a"), "b"], first, second);
    }

    function test_proveEquivocation_failsOnceTheStakeIsWithdrawn() public {
        vm.startPrank(owner);
        registry.leave(id);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdrawStake(id, owner);
        vm.stopPrank();
        (bytes memory first, bytes memory second) = (descriptor(KEY, id, 0, "a"), descriptor(KEY, id, 0, "b"));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayGone.selector));
        court.proveEquivocation(id, 0, [bytes32("a"), "b"], first, second);
    }

    /// @dev A judgement takes all but the penalty, also of a relay that nobody has condemned yet.
    function test_collectStake_ofACondemnedRelay() public {
        (bytes memory first, bytes memory second) = (descriptor(KEY, id, 0, "a"), descriptor(KEY, id, 0, "b"));
        vm.prank(carol);
        court.proveEquivocation(id, 0, [bytes32("a"), "b"], first, second);
        judge(KEY, bob, STAKE - 100, 1);
        vm.warp(block.timestamp + GRACE);
        vm.assertEq(court.collectStake(alice, bob), STAKE - PENALTY);
        registry.settlePenalty(id);
        vm.assertEq(channels.balanceOf(carol), PENALTY / 20);
        vm.assertEq(registry.burnt(), PENALTY - PENALTY / 20);
    }
}
