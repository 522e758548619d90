// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev A court that has judged what it is told to.
contract AnyJudge {
    uint96 private _total;

    function set(uint96 total) external {
        _total = total;
    }

    function judgement(address, address) external view returns (IReceiptCourt.Judgement memory) {
        return IReceiptCourt.Judgement(_total, 1, 0);
    }
}

/// @dev What only the court may do in Channels, called as the court would.
contract ChannelsCourtTest is Fixture {
    address private alice = address(0xA11CE);
    address private bob = address(0xB0B);

    function testFuzz_courtOnly(address caller) public {
        vm.assume(caller != address(court));
        credit(alice, 10);
        bytes memory reason = abi.encodeWithSelector(IChannels.NotCourt.selector);
        vm.startPrank(caller);
        vm.expectRevert(reason);
        channels.takeBond(alice, 1);
        vm.expectRevert(reason);
        channels.hold(alice, bob, type(uint40).max);
        vm.expectRevert(reason);
        channels.markJudged(alice, bob);
        vm.expectRevert(reason);
        channels.fundFromStake(alice, bob, 0);
    }

    /// @dev Closing asks the court only where it has judged: no other channel depends on it.
    function test_close_asksTheCourtOnlyIfItHasJudged() public {
        address nobody = address(0xDEAD);
        channels = new Channels(token, NOTICE, IReceiptCourt(nobody)); // a court that does not answer
        request();
        vm.prank(bob);
        channels.release(alice);
        vm.assertEq(channels.balanceOf(alice), 10);
        vm.prank(nobody);
        channels.markJudged(alice, bob);
        vm.expectRevert("");
        vm.prank(bob);
        channels.release(alice);
        vm.expectRevert("");
        channels.claimJudgement(alice, bob);
    }

    /// @dev The mark stays, through a close and a new opening: every later close asks again.
    function test_close_asksTheCourtForEver() public {
        AnyJudge judge = new AnyJudge();
        channels = new Channels(token, NOTICE, IReceiptCourt(address(judge)));
        vm.prank(address(judge));
        channels.markJudged(alice, bob);
        for (uint96 total = 4; total < 40; total += 7) {
            judge.set(total);
            open(alice, bob, 10);
            vm.prank(bob);
            channels.release(alice);
            vm.assertEq(channels.balanceOf(bob), total);
        }
    }

    // ---------------------------------------------------------------- takeBond

    function testFuzz_takeBond(uint96 balance, uint96 bond) public {
        bond = uint96(bound(bond, 0, balance));
        credit(bob, balance);
        vm.expectEmit(address(channels));
        emit IChannels.Moved(bob, address(court), bond);
        vm.prank(address(court));
        channels.takeBond(bob, bond);
        vm.assertEq(channels.balanceOf(bob), balance - bond);
        vm.assertEq(channels.balanceOf(address(court)), bond);
    }

    function testFuzz_takeBond_failsAboveTheBalance(uint96 balance, uint96 bond) public {
        balance = uint96(bound(balance, 0, type(uint96).max - 1));
        bond = uint96(bound(bond, uint256(balance) + 1, type(uint96).max));
        credit(bob, balance);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, balance, bond));
        vm.prank(address(court));
        channels.takeBond(bob, bond);
    }

    // ---------------------------------------------------------------- hold

    /// @dev Put off, and never brought forward.
    function testFuzz_hold(uint40 until) public {
        uint40 closesAt = request();
        if (until > closesAt) {
            vm.expectEmit(address(channels));
            emit IChannels.Held(alice, bob, until);
        }
        hold(until);
        vm.assertEq(due(), until > closesAt ? until : closesAt);
    }

    function test_hold_oncePerRequest() public {
        uint40 closesAt = request();
        hold(closesAt - 1); // neither holds nor uses the one time up
        hold(closesAt);
        hold(closesAt + 10);
        vm.assertEq(due(), closesAt + 10);
        hold(closesAt + 11);
        vm.assertEq(due(), closesAt + 10);
        // The payer takes its request back, and makes another.
        vm.startPrank(alice);
        channels.fund(bob, 0);
        channels.requestClose(bob);
        vm.stopPrank();
        hold(closesAt + 11);
        vm.assertEq(due(), closesAt + 11);
        vm.warp(closesAt + 11);
        vm.prank(alice);
        channels.finishClose(bob);
        closesAt = request();
        hold(closesAt + 5);
        vm.assertEq(due(), closesAt + 5);
        vm.prank(bob);
        channels.release(alice);
        closesAt = request();
        hold(closesAt + 5);
        vm.assertEq(due(), closesAt + 5);
    }

    /// @dev A close that is requested later is not held by what came before.
    function testFuzz_hold_doesNothingWithoutARequest(uint40 until) public {
        hold(until);
        vm.assertEq(due(), 0);
        vm.assertEq(request(), uint40(block.timestamp) + NOTICE);
        vm.assertEq(due(), uint40(block.timestamp) + NOTICE);
    }

    /// @dev Of this channel only.
    function test_hold_holdsNoOtherChannel() public {
        uint40 closesAt = request();
        vm.startPrank(address(court));
        channels.hold(bob, alice, closesAt + 1);
        channels.hold(alice, address(0xB0B2), closesAt + 1);
        vm.assertEq(due(), closesAt);
    }

    /// @dev Held or not, claims and the payer's top-up go on, and it ends when it said.
    function test_hold_endsByItself() public {
        uint40 closesAt = request();
        hold(closesAt + 100);
        vm.warp(closesAt + 99);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NoticeRunning.selector, closesAt + 100));
        channels.finishClose(bob);
        vm.warp(closesAt + 100);
        vm.prank(alice);
        channels.finishClose(bob);
        vm.assertEq(channels.balanceOf(alice), 10);
    }

    // ---------------------------------------------------------------- fundFromStake

    function testFuzz_fundFromStake(uint96 deposit, uint96 amount, bool closing) public {
        deposit = uint96(bound(deposit, 1, type(uint96).max));
        amount = uint96(bound(amount, 0, type(uint96).max - deposit));
        open(alice, bob, deposit);
        credit(address(court), amount);
        if (closing) {
            vm.prank(alice);
            channels.requestClose(bob);
        }
        uint40 closesAt = due();
        vm.expectEmit(address(channels));
        emit IChannels.Funded(alice, bob, amount, deposit + amount);
        vm.prank(address(court));
        channels.fundFromStake(alice, bob, amount);
        (uint96 deposited, uint96 claimed,) = channels.channel(alice, bob);
        vm.assertEq(deposited, deposit + amount);
        vm.assertEq(claimed, 0);
        vm.assertEq(due(), closesAt); // the close is not cancelled
        vm.assertEq(channels.balanceOf(address(court)), 0);
    }

    /// @dev Only what the court has; and a hold stays used up.
    function test_fundFromStake_failsAboveTheCourtsBalanceOrTheTotal() public {
        open(alice, bob, type(uint96).max);
        vm.startPrank(address(court));
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, 0, 1));
        channels.fundFromStake(alice, bob, 1);
        vm.stopPrank();
        credit(address(court), 1);
        vm.startPrank(address(court));
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        channels.fundFromStake(alice, bob, 1);
    }

    function test_fundFromStake_keepsTheHold() public {
        uint40 closesAt = request();
        hold(closesAt + 1);
        vm.prank(address(court));
        channels.fundFromStake(alice, bob, 0);
        hold(closesAt + 2);
        vm.assertEq(due(), closesAt + 1);
    }

    /// @dev A close that was held is over: what a stake fills later can be held anew.
    function test_hold_again_afterAStakeFilledWhatWasClosed() public {
        uint40 closesAt = request();
        hold(closesAt + 1);
        vm.warp(closesAt + 1);
        vm.prank(alice);
        channels.finishClose(bob);
        credit(address(court), 5);
        vm.prank(address(court));
        channels.fundFromStake(alice, bob, 5);
        vm.prank(alice);
        channels.requestClose(bob);
        closesAt = due();
        hold(closesAt + 1);
        vm.assertEq(due(), closesAt + 1);
    }

    // ---------------------------------------------------------------- help

    function request() private returns (uint40) {
        open(alice, bob, 10);
        vm.prank(alice);
        channels.requestClose(bob);
        return due();
    }

    function hold(uint40 until) private {
        vm.prank(address(court));
        channels.hold(alice, bob, until);
    }

    function due() private view returns (uint40 closesAt) {
        (,, closesAt) = channels.channel(alice, bob);
    }
}
