// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev How channels are filled and emptied by their payers.
contract ChannelsCloseTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);

    // ---------------------------------------------------------------- fund

    function testFuzz_fund(uint96 first, uint96 second, address payee) public {
        vm.assume(payee != address(0));
        second = uint96(bound(second, 0, type(uint96).max - first));
        credit(alice, first);
        credit(alice, second);
        vm.startPrank(alice);
        vm.expectEmit(address(channels));
        emit IChannels.Funded(alice, payee, first, first);
        channels.fund(payee, first);
        vm.expectEmit(address(channels));
        emit IChannels.Funded(alice, payee, second, first + second);
        channels.fund(payee, second);
        checkChannel(payee, first + second, 0, 0);
        vm.assertEq(channels.balanceOf(alice), 0);
    }

    function test_fund_failsForNobody() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidRecipient.selector));
        channels.fund(address(0), 0);
    }

    /// @dev An all-time total cannot pass 2^96: the call fails, and no money is lost.
    function test_fund_failsIfTotalOverflows() public {
        open(alice, bob, type(uint96).max);
        credit(alice, 1);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        channels.fund(bob, 1);
        (address[] memory payees, uint96[] memory amounts) = (new address[](1), new uint96[](1));
        (payees[0], amounts[0]) = (bob, 1);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        channels.fundMany(payees, amounts);
        vm.assertEq(channels.balanceOf(alice), 1);
    }

    // ---------------------------------------------------------------- fundMany

    /// @dev As if each had been funded alone; some payees come twice.
    function testFuzz_fundMany(uint96[6] memory given, uint256 number, uint96 rest) public {
        number = bound(number, 0, given.length);
        address[] memory payees = new address[](number);
        uint96[] memory amounts = new uint96[](number);
        uint96[3] memory totals;
        uint256 sum = 0;
        for (uint256 i = 0; i < number; ++i) {
            payees[i] = vm.addr(i % 3 + 1);
            amounts[i] = given[i] / 2;
            totals[i % 3] += amounts[i];
            sum += amounts[i];
            credit(alice, amounts[i]);
        }
        credit(alice, rest);
        for (uint256 i = 0; i < number; ++i) {
            vm.expectEmit(address(channels));
            emit IChannels.Funded(alice, payees[i], amounts[i], i < 3 ? amounts[i] : totals[i % 3]);
        }
        vm.prank(alice);
        channels.fundMany(payees, amounts);
        for (uint256 i = 0; i < 3; ++i) {
            checkChannel(vm.addr(i + 1), totals[i], 0, 0);
        }
        vm.assertEq(channels.balanceOf(alice), rest);
    }

    /// @dev All or nothing, and never on credit.
    function testFuzz_fundMany_failsAboveTheBalance(uint96 a, uint96 b, uint256 balance) public {
        vm.assume(a != 0 || b != 0);
        balance = bound(balance, 0, uint256(a) + b - 1);
        credit(alice, uint96(balance / 2));
        credit(alice, uint96(balance - balance / 2));
        (address[] memory payees, uint96[] memory amounts) = (new address[](2), new uint96[](2));
        (payees[0], payees[1], amounts[0], amounts[1]) = (bob, vm.addr(1), a, b);
        uint256 sum = uint256(a) + b;
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, balance, sum));
        vm.prank(alice);
        channels.fundMany(payees, amounts);
        checkChannel(bob, 0, 0, 0);
    }

    function testFuzz_fundMany_failsIfLengthsDiffer(uint256 payees, uint256 amounts) public {
        payees = bound(payees, 0, 5);
        amounts = bound(amounts, 0, 5);
        vm.assume(payees != amounts);
        vm.expectRevert(abi.encodeWithSelector(IChannels.LengthsDiffer.selector));
        channels.fundMany(new address[](payees), new uint96[](amounts));
    }

    function test_fundMany_failsForNobody() public {
        (address[] memory payees, uint96[] memory amounts) = (new address[](2), new uint96[](2));
        payees[0] = bob;
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidRecipient.selector));
        channels.fundMany(payees, amounts);
    }

    // ---------------------------------------------------------------- requestClose

    function testFuzz_requestClose(uint96 amount, uint32 time) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        vm.warp(block.timestamp + time);
        open(alice, bob, amount);
        uint40 closesAt = uint40(block.timestamp) + NOTICE;
        vm.expectEmit(address(channels));
        emit IChannels.CloseRequested(alice, bob, closesAt);
        vm.prank(alice);
        channels.requestClose(bob);
        checkChannel(bob, amount, 0, closesAt);
    }

    function test_requestClose_failsIfEmptyOrRepeated() public {
        expectEmpty();
        open(alice, bob, 10);
        uint40 closesAt = requestClose();
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IChannels.CloseAlreadyRequested.selector, closesAt));
        channels.requestClose(bob);
        channels.fund(bob, 0);
        vm.stopPrank();
        expectCloseNotRequested();
        requestClose();
        channels.claim(alice, bob, 10, 1, voucher(KEY, bob, 10, 1));
        vm.warp(closesAt);
        vm.prank(alice);
        channels.finishClose(bob);
        expectEmpty();
    }

    function expectEmpty() private {
        vm.expectRevert(abi.encodeWithSelector(IChannels.ChannelEmpty.selector));
        vm.prank(alice);
        channels.requestClose(bob);
    }

    // ---------------------------------------------------------------- finishClose, release

    /// @dev Whatever was judged and signed, and whenever: the payee has the highest total that it submitted or that was
    /// judged, within the deposit, and the payer has the rest.
    function testFuzz_close(uint96 amount, uint96 signed, uint96 judged, uint40 wait, bool released) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        judged = uint96(bound(judged, 0, type(uint96).max - COURT_COST));
        wait = uint40(bound(wait, 0, 2 * NOTICE));
        open(alice, bob, amount);
        if (judged != 0) judge(KEY, bob, judged, 1);
        uint256 bond = channels.balanceOf(bob);
        uint40 closesAt = requestClose();
        vm.warp(block.timestamp + wait);
        // Claims stay possible until the close is finished.
        bytes memory voucher_ = voucher(KEY, bob, signed, 1);
        uint96 first = channels.claim(alice, bob, signed, 1, voucher_);
        vm.assertEq(first, signed < amount ? signed : amount);
        if (wait < NOTICE && !released) {
            vm.expectRevert(abi.encodeWithSelector(IChannels.NoticeRunning.selector, closesAt));
            vm.prank(alice);
            channels.finishClose(bob);
            return;
        }
        uint96 paid = judged > signed ? judged : signed;
        if (paid > amount) paid = amount;
        end(first, paid, amount, released);
        checkChannel(bob, paid, paid, 0);
        vm.assertEq(channels.balanceOf(alice), amount - paid);
        vm.assertEq(channels.balanceOf(bob) - bond, paid);
        // Nothing revives: not the voucher, not the judgement, not the close.
        vm.assertEq(channels.claim(alice, bob, signed, 1, voucher_), 0);
        vm.assertEq(channels.claimJudgement(alice, bob), 0);
        expectCloseNotRequested();
    }

    function end(uint96 first, uint96 paid, uint96 amount, bool released) private {
        if (paid != first) {
            vm.expectEmit(address(channels));
            emit IChannels.Claimed(alice, bob, paid - first, paid);
        }
        vm.expectEmit(address(channels));
        if (released) {
            emit IChannels.Released(alice, bob, amount - paid);
            vm.prank(bob);
            channels.release(alice);
        } else {
            emit IChannels.Closed(alice, bob, amount - paid);
            vm.prank(alice);
            channels.finishClose(bob);
        }
    }

    function test_finishClose_fromTheFirstSecondAfterTheNotice() public {
        open(alice, bob, 10);
        uint40 closesAt = requestClose();
        vm.startPrank(alice);
        vm.warp(closesAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NoticeRunning.selector, closesAt));
        channels.finishClose(bob);
        vm.warp(closesAt);
        channels.finishClose(bob);
        vm.assertEq(channels.balanceOf(alice), 10);
    }

    function test_finishClose_longAfterTheNotice() public {
        open(alice, bob, 10);
        uint40 closesAt = requestClose();
        vm.warp(closesAt + 365 days);
        vm.prank(alice);
        channels.finishClose(bob);
        vm.assertEq(channels.balanceOf(alice), 10);
    }

    /// @dev Without a request too: the payee alone decides, and only over what it was to get.
    function test_release_needsNoRequest() public {
        open(alice, bob, 10);
        open(alice, address(0xB0B2), 10);
        vm.expectEmit(address(channels));
        emit IChannels.Released(alice, bob, 10);
        vm.prank(bob);
        channels.release(alice);
        vm.assertEq(channels.balanceOf(alice), 10);
        vm.expectEmit(address(channels));
        emit IChannels.Released(alice, bob, 0);
        vm.prank(bob);
        channels.release(alice);
    }

    /// @dev A channel that was closed takes up where it ended: totals go on.
    function testFuzz_reopen(uint96 first, uint96 signed, uint96 second) public {
        first = uint96(bound(first, 1, type(uint96).max / 2));
        signed = uint96(bound(signed, 0, first));
        second = uint96(bound(second, 0, type(uint96).max / 2));
        open(alice, bob, first);
        channels.claim(alice, bob, signed, 1, voucher(KEY, bob, signed, 1));
        vm.prank(bob);
        channels.release(alice);
        open(alice, bob, second);
        vm.assertEq(channels.claim(alice, bob, signed, 1, voucher(KEY, bob, signed, 1)), 0);
        checkChannel(bob, signed + second, signed, 0);
        uint96 all = signed + second;
        vm.assertEq(channels.claim(alice, bob, all, 2, voucher(KEY, bob, all, 2)), second);
    }

    // ---------------------------------------------------------------- help

    function requestClose() private returns (uint40) {
        vm.prank(alice);
        channels.requestClose(bob);
        return uint40(block.timestamp) + NOTICE;
    }

    function expectCloseNotRequested() private {
        vm.expectRevert(abi.encodeWithSelector(IChannels.CloseNotRequested.selector));
        vm.prank(alice);
        channels.finishClose(bob);
    }

    function checkChannel(address payee, uint96 deposit, uint96 claimed, uint40 closesAt) private view {
        (uint96 deposited, uint96 paid, uint40 due) = channels.channel(alice, payee);
        vm.assertEq(deposited, deposit);
        vm.assertEq(paid, claimed);
        vm.assertEq(due, closesAt);
    }
}
