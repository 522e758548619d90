// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev The ledger: what enters, leaves and moves inside it. ChannelsTokens has the odd tokens.
contract ChannelsTest is Fixture {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);

    function test_constructor_keepsWhatItIsGiven() public {
        vm.assertEq(address(channels.TOKEN()), address(token));
        vm.assertEq(address(channels.COURT()), address(court));
        vm.assertEq(channels.NOTICE(), NOTICE);
        vm.assertEq(channels.DOMAIN_SEPARATOR(), domain("Mixpay Channels", address(channels)));
        vm.chainId(block.chainid + 1);
        vm.assertEq(channels.DOMAIN_SEPARATOR(), domain("Mixpay Channels", address(channels)));
    }

    // ---------------------------------------------------------------- deposit

    function testFuzz_deposit(uint96 amount, uint96 more) public {
        give(alice, address(channels), uint256(amount) + more);
        vm.startPrank(alice);
        vm.expectEmit(address(channels));
        emit IChannels.Deposited(alice, amount);
        channels.deposit(amount);
        channels.deposit(more);
        vm.assertEq(channels.balanceOf(alice), uint256(amount) + more);
        vm.assertEq(token.balanceOf(address(channels)), uint256(amount) + more);
        vm.assertEq(token.balanceOf(alice), 0);
    }

    function testFuzz_depositFor(address account, uint96 amount) public {
        vm.assume(account != address(0) && account != alice);
        give(alice, address(channels), amount);
        vm.expectEmit(address(channels));
        emit IChannels.Deposited(account, amount);
        vm.prank(alice);
        channels.depositFor(account, amount);
        vm.assertEq(channels.balanceOf(account), amount);
        vm.assertEq(channels.balanceOf(alice), 0);
        vm.assertEq(token.balanceOf(alice), 0);
        vm.assertEq(token.balanceOf(address(channels)), amount);
    }

    function test_depositFor_failsForNobody() public {
        give(alice, address(channels), 1);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidRecipient.selector));
        vm.prank(alice);
        channels.depositFor(address(0), 1);
    }

    function testFuzz_deposit_failsWithoutApprovalOrTokens(uint96 amount) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        token.transfer(alice, amount);
        expectLacking(0, amount);
        vm.prank(alice);
        channels.deposit(amount);
        expectLacking(0, amount);
        vm.prank(alice);
        channels.depositFor(bob, amount);
        vm.prank(bob);
        token.approve(address(channels), amount);
        vm.expectRevert(abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", bob, 0, amount));
        vm.prank(bob);
        channels.deposit(amount);
        vm.assertEq(channels.balanceOf(alice) + channels.balanceOf(bob), 0);
    }

    // ---------------------------------------------------------------- permit

    function testFuzz_depositWithPermit(uint256 key, uint96 amount, uint256 deadline) public {
        key = keyFrom(key);
        address owner = vm.addr(key);
        deadline = bound(deadline, block.timestamp, type(uint256).max);
        token.transfer(owner, amount);
        (uint8 v, bytes32 r, bytes32 s) = permit(key, amount, deadline);
        vm.expectEmit(address(channels));
        emit IChannels.Deposited(owner, amount);
        vm.prank(owner);
        channels.depositWithPermit(amount, deadline, v, r, s);
        vm.assertEq(channels.balanceOf(owner), amount);
        vm.assertEq(token.allowance(owner, address(channels)), 0);
    }

    /// @dev Whoever sees the permit can use it up first. What it permits is there all the same.
    function test_depositWithPermit_afterSomebodyUsedThePermit() public {
        token.transfer(alice, 100);
        (uint8 v, bytes32 r, bytes32 s) = permit(KEY, 100, block.timestamp);
        vm.prank(address(0xBAD));
        token.permit(alice, address(channels), 100, block.timestamp, v, r, s);
        vm.prank(alice);
        channels.depositWithPermit(100, block.timestamp, v, r, s);
        vm.assertEq(channels.balanceOf(alice), 100);
        // Once: there is no approval left, and the permit's nonce is gone.
        token.transfer(alice, 100);
        expectLacking(0, 100);
        vm.prank(alice);
        channels.depositWithPermit(100, block.timestamp, v, r, s);
    }

    function test_depositWithPermit_failsIfPermitIsBad() public {
        give(bob, address(channels), 100);
        token.transfer(alice, 100);
        (uint8 v, bytes32 r, bytes32 s) = permit(KEY, 100, block.timestamp);
        expectLacking(0, 101);
        vm.prank(alice);
        channels.depositWithPermit(101, block.timestamp, v, r, s);
        // Another's permit moves nothing of that other's.
        vm.prank(address(0xBAD));
        expectLacking(0, 100);
        channels.depositWithPermit(100, block.timestamp, v, r, s);
        vm.warp(block.timestamp + 1);
        expectLacking(0, 100);
        vm.prank(alice);
        channels.depositWithPermit(100, block.timestamp - 1, v, r, s);
    }

    function testFuzz_depositWithPermit_needsNoneWhereTheApprovalIs(uint8 v, bytes32 r, bytes32 s) public {
        give(alice, address(channels), 100);
        vm.prank(alice);
        channels.depositWithPermit(100, 0, v, r, s);
        vm.assertEq(channels.balanceOf(alice), 100);
    }

    // ---------------------------------------------------------------- withdraw, move

    function testFuzz_withdraw(uint96 amount, uint96 out, address to) public {
        assumeAccount(to);
        vm.assume(to != alice);
        credit(alice, amount);
        out = uint96(bound(out, 0, amount));
        vm.expectEmit(address(channels));
        emit IChannels.Withdrawn(alice, to, out);
        vm.prank(alice);
        channels.withdraw(to, out);
        vm.assertEq(token.balanceOf(to), out);
        vm.assertEq(channels.balanceOf(alice), amount - out);
        vm.assertEq(token.balanceOf(address(channels)), amount - out);
    }

    function testFuzz_move(uint96 amount, uint96 moved, address to) public {
        vm.assume(to != address(0));
        credit(alice, amount);
        moved = uint96(bound(moved, 0, amount));
        vm.expectEmit(address(channels));
        emit IChannels.Moved(alice, to, moved);
        vm.prank(alice);
        channels.move(to, moved);
        if (to == alice) moved = 0; // to itself nothing is made and nothing lost
        vm.assertEq(channels.balanceOf(alice), amount - moved);
        if (to != alice) vm.assertEq(channels.balanceOf(to), moved);
        vm.assertEq(token.balanceOf(address(channels)), amount);
    }

    function testFuzz_move_toItselfMakesNothing(uint96 amount, uint96 moved) public {
        credit(alice, amount);
        vm.prank(alice);
        channels.move(alice, uint96(bound(moved, 0, amount)));
        vm.assertEq(channels.balanceOf(alice), amount);
    }

    /// @dev Balances are wider than amounts: an account can hold more than one call can move.
    function test_balance_canExceedOneAmount() public {
        credit(alice, type(uint96).max);
        credit(alice, type(uint96).max);
        vm.startPrank(alice);
        channels.withdraw(bob, type(uint96).max);
        channels.move(bob, type(uint96).max);
        vm.assertEq(channels.balanceOf(alice), 0);
        vm.assertEq(channels.balanceOf(bob), type(uint96).max);
    }

    function testFuzz_debit_failsAboveTheBalance(uint96 amount, uint96 more, address to) public {
        assumeAccount(to);
        amount = uint96(bound(amount, 0, type(uint96).max - 1));
        more = uint96(bound(more, uint256(amount) + 1, type(uint96).max));
        credit(alice, amount);
        bytes memory reason = abi.encodeWithSelector(IChannels.InsufficientBalance.selector, amount, more);
        vm.startPrank(alice);
        vm.expectRevert(reason);
        channels.withdraw(to, more);
        vm.expectRevert(reason);
        channels.move(to, more);
        vm.expectRevert(reason);
        channels.fund(to, more);
        vm.assertEq(channels.balanceOf(alice), amount);
    }

    function test_recipients_areSomebody() public {
        vm.startPrank(alice);
        bytes memory reason = abi.encodeWithSelector(IChannels.InvalidRecipient.selector);
        vm.expectRevert(reason);
        channels.withdraw(address(0), 0);
        vm.expectRevert(reason);
        channels.withdraw(address(channels), 0);
        vm.expectRevert(reason);
        channels.move(address(0), 0);
    }

    // ---------------------------------------------------------------- help

    function expectLacking(uint256 allowed, uint256 wanted) private {
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(channels), allowed, wanted
            )
        );
    }

    function permit(uint256 key, uint96 amount, uint256 deadline) private view returns (uint8, bytes32, bytes32) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        address owner = vm.addr(key);
        bytes32 structHash =
            keccak256(abi.encode(typehash, owner, address(channels), amount, token.nonces(owner), deadline));
        return vm.sign(key, digest("Mixpay Token", address(token), structHash));
    }
}
