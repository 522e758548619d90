// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {ExactTransfer} from "../../contracts/lib/ExactTransfer.sol";
import {Fixture} from "./Fixture.sol";
import {CallbackToken, FalseToken, FeeToken} from "./OddTokens.sol";
import {vm} from "./Vm.sol";

contract ChannelsTest is Fixture {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);

    // ---------------------------------------------------------------- ledger

    function test_deposit_failsIfTokenTakesFee() public {
        FeeToken fee = new FeeToken();
        Channels c = new Channels(fee, NOTICE, court);
        fee.approve(address(c), 1000);
        vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 990));
        c.deposit(1000);
    }

    function test_deposit_failsIfTokenSaysFalse() public {
        FalseToken no = new FalseToken();
        Channels c = new Channels(no, NOTICE, court);
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(no)));
        c.deposit(1000);
    }

    /// @dev While its deposit is under way, the depositor spends the credit and asks the tokens out.
    function test_deposit_failsIfWithdrawnWhileUnderWay() public {
        CallbackToken odd = new CallbackToken();
        Channels c = new Channels(odd, NOTICE, court);
        odd.approve(address(c), 1000);
        odd.transfer(address(c), 1000); // somebody else's money
        odd.arm(address(this), abi.encodeCall(this.withdrawFrom, (c, 1000)));
        vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 1000, 1000));
        c.deposit(1000);
    }

    /// @dev More than was sent is not what was sent either: whose would the rest be?
    function test_deposit_failsIfMoreArrives() public {
        CallbackToken odd = new CallbackToken();
        Channels c = new Channels(odd, NOTICE, court);
        odd.approve(address(c), 1000);
        odd.arm(address(this), abi.encodeCall(this.donate, (odd, address(c))));
        vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 1005));
        c.deposit(1000);
    }

    function donate(CallbackToken odd, address to) external {
        odd.transfer(to, 5);
    }

    function withdrawFrom(Channels c, uint96 amount) external {
        c.withdraw(bob, amount);
    }

    function testFuzz_ledger(uint96 amount, uint96 out, uint96 moved, address to) public {
        assumeAccount(to);
        vm.assume(to != alice);
        credit(alice, amount);
        out = uint96(bound(out, 0, amount));
        moved = uint96(bound(moved, 0, amount - out));
        vm.startPrank(alice);
        channels.withdraw(to, out);
        channels.move(to, moved);
        vm.assertEq(token.balanceOf(to), out);
        vm.assertEq(channels.balanceOf(to), moved);
        uint256 rest = uint256(amount) - out - moved;
        vm.assertEq(channels.balanceOf(alice), rest);
        vm.assertEq(token.balanceOf(address(channels)), amount - out);
        if (rest != type(uint96).max) {
            uint96 more = uint96(rest) + 1;
            bytes memory reason = abi.encodeWithSelector(IChannels.InsufficientBalance.selector, rest, more);
            vm.expectRevert(reason);
            channels.withdraw(to, more);
            vm.expectRevert(reason);
            channels.move(to, more);
            vm.expectRevert(reason);
            channels.fund(to, more);
        }
    }

    function test_recipients() public {
        vm.startPrank(alice);
        bytes memory reason = abi.encodeWithSelector(IChannels.InvalidRecipient.selector);
        vm.expectRevert(reason);
        channels.withdraw(address(0), 0);
        vm.expectRevert(reason);
        channels.withdraw(address(channels), 0);
        vm.expectRevert(reason);
        channels.move(address(0), 0);
        vm.expectRevert(reason);
        channels.fund(address(0), 0);
    }

    // ---------------------------------------------------------------- fund, close

    function testFuzz_fund(uint96 first, uint96 second, address payee) public {
        vm.assume(payee != address(0));
        second = uint96(bound(second, 0, type(uint96).max - first));
        credit(alice, first);
        credit(alice, second);
        vm.startPrank(alice);
        channels.fund(payee, first);
        channels.fund(payee, second);
        (uint96 deposited, uint96 claimed, uint40 closesAt) = channels.channel(alice, payee);
        vm.assertEq(deposited, uint256(first) + second);
        vm.assertEq(claimed, 0);
        vm.assertEq(closesAt, 0);
        vm.assertEq(channels.balanceOf(alice), 0);
    }

    /// @dev An all-time total cannot pass 2^96: the call fails, and no money is lost.
    function test_fund_failsIfTotalOverflows() public {
        open(alice, bob, type(uint96).max);
        credit(alice, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        channels.fund(bob, 1);
        vm.assertEq(channels.balanceOf(alice), 1);
    }

    function testFuzz_close(uint96 amount, uint96 cumulative, uint40 wait) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        wait = uint40(bound(wait, 0, 2 * NOTICE));
        open(alice, bob, amount);
        vm.prank(alice);
        channels.requestClose(bob);
        uint40 closesAt = uint40(block.timestamp) + NOTICE;
        vm.warp(block.timestamp + wait);
        // Claims stay possible until the close is finished.
        uint96 paid = channels.claim(alice, bob, cumulative, 1, voucher(KEY, bob, cumulative, 1));
        vm.assertEq(paid, cumulative < amount ? cumulative : amount);
        if (wait < NOTICE) {
            vm.expectRevert(abi.encodeWithSelector(IChannels.NoticeRunning.selector, closesAt));
            vm.prank(alice);
            channels.finishClose(bob);
            return;
        }
        vm.prank(alice);
        channels.finishClose(bob);
        checkClosed(paid);
        vm.assertEq(channels.balanceOf(alice), amount - paid);
        // Nothing revives: not the voucher, not the close.
        vm.assertEq(channels.claim(alice, bob, cumulative, 1, voucher(KEY, bob, cumulative, 1)), 0);
        vm.expectRevert(abi.encodeWithSelector(IChannels.CloseNotRequested.selector));
        vm.prank(alice);
        channels.finishClose(bob);
    }

    function testFuzz_release(uint96 amount, uint96 cumulative, bool requested) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        open(alice, bob, amount);
        if (requested) {
            vm.prank(alice);
            channels.requestClose(bob);
        }
        uint96 paid = channels.claim(alice, bob, cumulative, 1, voucher(KEY, bob, cumulative, 1));
        vm.prank(bob);
        channels.release(alice);
        checkClosed(paid);
        vm.assertEq(channels.balanceOf(alice), amount - paid);
    }

    function test_finishClose_atTheFirstSecondAfterTheNotice() public {
        open(alice, bob, 10);
        vm.startPrank(alice);
        channels.requestClose(bob);
        uint40 closesAt = uint40(block.timestamp) + NOTICE;
        vm.warp(closesAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.NoticeRunning.selector, closesAt));
        channels.finishClose(bob);
        vm.warp(closesAt);
        channels.finishClose(bob);
        vm.assertEq(channels.balanceOf(alice), 10);
    }

    function checkClosed(uint96 paid) private view {
        (uint96 deposited, uint96 claimed, uint40 closesAt) = channels.channel(alice, bob);
        vm.assertEq(deposited, paid);
        vm.assertEq(claimed, paid);
        vm.assertEq(closesAt, 0);
    }

    function test_requestClose_failsIfEmptyOrRepeated() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IChannels.ChannelEmpty.selector));
        channels.requestClose(bob);
        vm.stopPrank();
        open(alice, bob, 10);
        vm.startPrank(alice);
        channels.requestClose(bob);
        uint40 closesAt = uint40(block.timestamp) + NOTICE;
        vm.expectRevert(abi.encodeWithSelector(IChannels.CloseAlreadyRequested.selector, closesAt));
        channels.requestClose(bob);
        channels.fund(bob, 0);
        vm.expectRevert(abi.encodeWithSelector(IChannels.CloseNotRequested.selector));
        channels.finishClose(bob);
        channels.requestClose(bob);
    }

    // ---------------------------------------------------------------- claim

    /// @dev Two vouchers in this order, whatever they say: paid is the high-water mark within the deposit.
    function testFuzz_claim(uint256 key, address payee, uint96 deposit, uint96 a, uint96 b, uint32 batch) public {
        key = keyFrom(key);
        address payer = vm.addr(key);
        vm.assume(payee != address(0) && payee != payer);
        open(payer, payee, deposit);
        uint96 paidA = channels.claim(payer, payee, a, batch, voucher(key, payee, a, batch));
        vm.assertEq(paidA, a < deposit ? a : deposit);
        uint96 paidB = channels.claim(payer, payee, b, batch, voucher(key, payee, b, batch));
        uint96 highest = a > b ? a : b;
        uint96 total = highest < deposit ? highest : deposit;
        vm.assertEq(uint256(paidA) + paidB, total);
        vm.assertEq(channels.balanceOf(payee), total);
        (, uint96 claimed,) = channels.channel(payer, payee);
        vm.assertEq(claimed, total);
    }

    /// @dev What the deposit lacks stays claimable with the same voucher after a top-up.
    function testFuzz_claim_paysShortfallAfterTopUp(uint96 deposit, uint96 topUp, uint96 cumulative) public {
        topUp = uint96(bound(topUp, 0, type(uint96).max - deposit));
        open(alice, bob, deposit);
        bytes memory signed = voucher(KEY, bob, cumulative, 7);
        uint96 first = channels.claim(alice, bob, cumulative, 7, signed);
        credit(alice, topUp);
        vm.prank(alice);
        channels.fund(bob, topUp);
        uint96 second = channels.claim(alice, bob, cumulative, 7, signed);
        uint96 all = deposit + topUp;
        vm.assertEq(uint256(first) + second, cumulative < all ? cumulative : all);
    }

    function testFuzz_claim_failsIfSignedByAnother(uint256 key, uint96 cumulative, uint32 batch) public {
        key = keyFrom(key);
        vm.assume(key != KEY);
        open(alice, bob, 1000);
        bytes32 typehash = keccak256("Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)");
        bytes32 structHash = keccak256(abi.encode(typehash, alice, bob, cumulative, batch));
        bytes memory signed = signature(key, digest("Mixpay Channels", address(channels), structHash));
        expectRefused(alice, bob, cumulative, batch, signed);
    }

    /// @dev A voucher is for one payee, one total, one batch, one contract and one chain.
    function testFuzz_claim_failsIfAnythingElseWasSigned(uint96 cumulative, uint32 batch, address other) public {
        vm.assume(other != bob);
        open(alice, bob, type(uint96).max);
        bytes memory signed = voucher(KEY, bob, cumulative, batch);
        expectRefused(alice, other, cumulative, batch, signed);
        expectRefused(other, bob, cumulative, batch, signed);
        expectRefused(alice, bob, cumulative ^ 1, batch, signed);
        expectRefused(alice, bob, cumulative, batch ^ 1, signed);
        vm.chainId(block.chainid + 1);
        expectRefused(alice, bob, cumulative, batch, signed);
        vm.chainId(block.chainid - 1);
        channels = new Channels(token, NOTICE, court);
        expectRefused(alice, bob, cumulative, batch, signed);
    }

    /// @dev The other s of the same signature, its 64-byte form, wrong lengths, and no key at all are refused.
    function testFuzz_claim_failsIfSignatureNotCanonical(uint96 cumulative, bytes memory noise) public {
        open(alice, bob, 1000);
        bytes memory signed = voucher(KEY, bob, cumulative, 1);
        (bytes32 r, bytes32 s) = abi.decode(abi.encodePacked(signed, bytes31(0)), (bytes32, bytes32));
        uint8 v = uint8(signed[64]);
        expectRefused(alice, bob, cumulative, 1, abi.encodePacked(r, bytes32(ORDER - uint256(s)), 55 - v));
        expectRefused(alice, bob, cumulative, 1, abi.encodePacked(r, s, v - 27));
        expectRefused(alice, bob, cumulative, 1, abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255));
        expectRefused(alice, bob, cumulative, 1, abi.encodePacked(signed, uint8(0)));
        expectRefused(alice, bob, cumulative, 1, noise);
        expectRefused(address(0), bob, cumulative, 1, noise);
        expectRefused(address(0), bob, cumulative, 1, abi.encodePacked(r, s, uint8(29)));
    }

    function expectRefused(address payer, address payee, uint96 total, uint32 batch, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidSignature.selector));
        channels.claim(payer, payee, total, batch, signed);
    }
}
