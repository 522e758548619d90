// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {ExactTransfer} from "../../contracts/lib/ExactTransfer.sol";
import {CallbackToken, FalseToken, FeeToken, QuietToken} from "./OddTokens.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev Tokens that are not plain, at each call that touches the token.
contract ChannelsTokensTest is Fixture {
    address private bob = address(0xB0B);

    /// @dev Each way in, told apart by a number.
    uint256 private constant WAYS = 3;

    function enter(Channels c, uint256 way, uint96 amount) public {
        if (way == 0) c.deposit(amount);
        else if (way == 1) c.depositFor(bob, amount);
        else c.depositWithPermit(amount, block.timestamp, 27, bytes32("r"), bytes32("s"));
    }

    function ledgerOf(address odd) private returns (Channels c) {
        c = new Channels(IERC20(odd), NOTICE, court);
        IERC20(odd).approve(address(c), 1000);
    }

    // ---------------------------------------------------------------- fees, false, nothing

    function test_deposits_failIfTokenTakesFee() public {
        Channels c = ledgerOf(address(new FeeToken()));
        for (uint256 way = 0; way < WAYS; ++way) {
            vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 990));
            enter(c, way, 1000);
        }
    }

    /// @dev A token that begins to take a fee later is paid out: the receiver bears it.
    function test_withdraw_paysOutATokenThatTakesFee() public {
        FeeToken odd = new FeeToken();
        Channels c = ledgerOf(address(odd));
        enter(c, 0, 99); // too little for a fee
        enter(c, 0, 99);
        c.withdraw(bob, 198);
        vm.assertEq(odd.balanceOf(bob), 197);
        vm.assertEq(c.balanceOf(address(this)), 0);
    }

    function test_deposits_failIfTokenSaysFalse() public {
        address odd = address(new FalseToken());
        Channels c = ledgerOf(odd);
        for (uint256 way = 0; way < WAYS; ++way) {
            vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", odd));
            enter(c, way, 1000);
        }
    }

    function test_withdraw_failsIfTokenSaysFalse() public {
        address odd = address(new FalseToken());
        Channels c = ledgerOf(odd);
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", odd));
        c.withdraw(bob, 0);
    }

    /// @dev Like USDT, which returns nothing, and like WETH, whose fallback takes a `permit` that does nothing.
    function test_ledger_takesATokenThatReturnsNothing() public {
        QuietToken odd = new QuietToken();
        Channels c = new Channels(IERC20(address(odd)), NOTICE, court);
        odd.approve(address(c), 6);
        for (uint256 way = 0; way < WAYS; ++way) {
            enter(c, way, 2);
        }
        vm.assertEq(c.balanceOf(address(this)), 4);
        vm.assertEq(c.balanceOf(bob), 2);
        c.withdraw(bob, 4);
        vm.assertEq(odd.balanceOf(bob), 4);
        vm.assertEq(odd.balanceOf(address(c)), 2);
    }

    function test_deposits_failIfThereIsNoToken() public {
        Channels c = new Channels(IERC20(address(0x70CE)), NOTICE, court);
        for (uint256 way = 0; way < WAYS; ++way) {
            vm.expectRevert("");
            enter(c, way, 0);
        }
    }

    /// @dev Without ERC-2612 the deposit needs the approval, and no more.
    function test_depositWithPermit_ofATokenWithoutPermit() public {
        Channels c = ledgerOf(address(new CallbackToken()));
        enter(c, 2, 1000);
        vm.assertEq(c.balanceOf(address(this)), 1000);
    }

    // ---------------------------------------------------------------- calls back

    /// @dev While its deposit is under way, the depositor spends the credit and asks the tokens out.
    function test_deposits_failIfWithdrawnWhileUnderWay() public {
        CallbackToken odd = new CallbackToken();
        Channels c = ledgerOf(address(odd));
        odd.transfer(address(c), 1000); // somebody else's money
        for (uint256 way = 0; way < WAYS; ++way) {
            odd.arm(address(this), abi.encodeCall(this.withdrawFrom, (c, 1000, way == 1)));
            vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 1000, 1000));
            enter(c, way, 1000);
        }
    }

    /// @dev One deposit inside another would count the same tokens twice.
    function test_deposits_failIfOneIsMadeInsideAnother() public {
        CallbackToken odd = new CallbackToken();
        Channels c = ledgerOf(address(odd));
        for (uint256 way = 0; way < WAYS * WAYS; ++way) {
            odd.arm(address(this), abi.encodeCall(this.enter, (c, way / WAYS, 400)));
            vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 600, 0, 1000));
            enter(c, way % WAYS, 600);
        }
    }

    /// @dev More than was sent is not what was sent either: whose would the rest be?
    function test_deposits_failIfMoreArrives() public {
        CallbackToken odd = new CallbackToken();
        Channels c = ledgerOf(address(odd));
        for (uint256 way = 0; way < WAYS; ++way) {
            odd.arm(address(this), abi.encodeCall(this.donate, (odd, address(c))));
            vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 1005));
            enter(c, way, 1000);
        }
    }

    /// @dev While a withdrawal is under way the balance is gone: there is nothing to withdraw, move or fund with again.
    function test_withdraw_isOverBeforeTheTokenCallsBack() public {
        CallbackToken odd = new CallbackToken();
        Channels c = ledgerOf(address(odd));
        enter(c, 0, 1000);
        odd.arm(address(this), abi.encodeCall(this.withdrawFrom, (c, 1, false)));
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, 0, 1));
        c.withdraw(bob, 1000);
        odd.arm(address(this), abi.encodeCall(this.spendFrom, (c, 1)));
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, 0, 1));
        c.withdraw(bob, 1000);
        // What is left over can be taken while the rest is on its way.
        odd.arm(address(this), abi.encodeCall(this.withdrawFrom, (c, 400, false)));
        c.withdraw(bob, 600);
        vm.assertEq(odd.balanceOf(bob), 600);
        vm.assertEq(odd.balanceOf(address(0xD0)), 400);
        vm.assertEq(c.balanceOf(address(this)), 0);
    }

    function donate(CallbackToken odd, address to) external {
        odd.transfer(to, 5);
    }

    function withdrawFrom(Channels c, uint96 amount, bool asBob) external {
        if (asBob) vm.prank(bob);
        c.withdraw(address(0xD0), amount);
    }

    function spendFrom(Channels c, uint96 amount) external {
        c.fund(bob, amount);
    }
}
