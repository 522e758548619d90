// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {ReceiptCourt} from "../../contracts/ReceiptCourt.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {Token} from "../../contracts/Token.sol";
import {CallbackToken} from "./OddTokens.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev A stake that is collected moves tokens, from the registry into Channels: a token that calls back comes in between.
contract ReceiptCourtTokensTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);
    address private owner = address(0x0123);
    CallbackToken private odd;

    function setUp() public override {
        super.setUp();
        odd = new CallbackToken();
        token = Token(address(odd)); // what Tools calls of it every token has
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 2);
        channels = new Channels(odd, NOTICE, IReceiptCourt(predicted));
        registry = new RelayRegistry(odd, network, STAKE, UNBONDING, channels, predicted, PENALTY);
        court = new ReceiptCourt(
            channels, registry, IReceiptCourt.Parameters(ANSWER_WINDOW, FINISH_WINDOW, GRACE, COURT_COST)
        );
        give(owner, address(registry), STAKE);
        join(owner, KEY);
        judge(KEY, bob, 100, 1);
        credit(bob, 1000);
        vm.warp(block.timestamp + GRACE);
    }

    /// @dev Collected again while it is under way, with as much withdrawn as comes in twice.
    function test_collectStake_failsIfCollectedWhileUnderWay() public {
        odd.arm(address(this), abi.encodeCall(this.collectAndWithdraw, (100)));
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.ChannelChanged.selector));
        court.collectStake(alice, bob);
        odd.arm(address(0), "");
        vm.assertEq(court.collectStake(alice, bob), 100);
        vm.assertEq(registry.stakeLeft(1), STAKE - 100);
    }

    /// @dev Filled by the payer while it is under way: either the one or the other.
    function test_collectStake_failsIfFilledWhileUnderWay() public {
        credit(alice, 100);
        odd.arm(address(this), abi.encodeCall(this.fill, (100)));
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.ChannelChanged.selector));
        court.collectStake(alice, bob);
    }

    /// @dev What has nothing to do with it can go on meanwhile.
    function test_collectStake_whileSomethingElseGoesOn() public {
        vm.prank(bob);
        channels.move(address(this), 500);
        odd.arm(address(channels), abi.encodeCall(channels.claimJudgement, (alice, bob)));
        vm.assertEq(court.collectStake(alice, bob), 100);
        vm.assertEq(channels.balanceOf(address(court)), 0);
    }

    function collectAndWithdraw(uint96 amount) external {
        court.collectStake(alice, bob);
        vm.prank(bob);
        channels.withdraw(bob, amount);
    }

    function fill(uint96 amount) external {
        vm.prank(alice);
        channels.fund(bob, amount);
    }
}
