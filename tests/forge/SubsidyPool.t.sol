// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {PoolStage} from "./PoolStage.sol";
import {vm} from "./Vm.sol";

contract SubsidyPoolTest is PoolStage {
    uint96 private constant PERIOD_CAP = 1000;
    uint96 private constant RELAY_CAP = 400;
    address private relay = address(0x4E1A);

    // ---------------------------------------------------------------- campaigns

    function testFuzz_createAndFund(address by, address sign, uint96 periodCap, uint96 relayCap, uint96 budget)
        public
    {
        assumeAccount(by);
        vm.assume(sign != address(0));
        vm.expectEmit(address(pool));
        emit ISubsidyPool.CampaignCreated(1, by, sign, periodCap, relayCap);
        vm.prank(by);
        vm.assertEq(pool.createCampaign(sign, periodCap, relayCap), 1);
        give(by, address(pool), budget);
        vm.expectEmit(address(pool));
        emit ISubsidyPool.CampaignFunded(1, by, budget);
        vm.prank(by);
        pool.fund(1, budget);
        ISubsidyPool.Campaign memory c = pool.campaign(1);
        vm.assertEq(c.sponsor, by);
        vm.assertEq(c.signer, sign);
        vm.assertEq(c.periodCap, periodCap);
        vm.assertEq(c.relayCap, relayCap);
        vm.assertEq(c.budget, budget);
        vm.assertEq(channels.balanceOf(address(pool)), budget);
        vm.assertEq(token.balanceOf(address(channels)), budget);
    }

    function test_campaign_failsIfUnknownOrWithoutSigner() public {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.UnknownCampaign.selector, 1));
        pool.fund(1, 0);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSigner.selector));
        pool.createCampaign(address(0), 1, 1);
        found(1, 1, 1);
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSigner.selector));
        pool.setSigner(1, address(0));
    }

    function test_constructor_failsIfParametersAreInvalid() public {
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.InvalidParameters.selector);
        vm.expectRevert(reason);
        this.make(channels, TERM, CLAIM_WINDOW);
        vm.expectRevert(reason);
        this.make(channels, TERM, CLAIM_WINDOW - 1);
        vm.expectRevert(reason);
        this.make(channels, 0, WITHDRAWAL_NOTICE);
        (bool below, bool above) = (false, false);
        for (uint256 i = 0; i < 400 && !(below && above); ++i) {
            Channels another = new Channels(token, NOTICE, court); // at addresses on both sides
            (below, above) = (below || another < channels, above || another > channels);
            vm.expectRevert(reason);
            this.make(another, TERM, WITHDRAWAL_NOTICE);
        }
        vm.assertTrue(below && above);
        this.make(channels, 1, CLAIM_WINDOW + 1);
    }

    /// @dev For ever: a campaign's budget must not depend on how many were funded before.
    function test_constructor_approvesWithoutLimit() public view {
        vm.assertEq(token.allowance(address(pool), address(channels)), type(uint256).max);
    }

    /// @dev A call of its own, as in RelayRegistryTest.
    function make(Channels ledger, uint32 term, uint40 notice) external {
        new SubsidyPool(ledger, registry, network, term, CLAIM_WINDOW, notice);
    }

    // ---------------------------------------------------------------- keys

    function testFuzz_setKey(uint8 kind, uint32 period, uint32 now_, bool touched, bytes32 keyHash) public {
        kind = uint8(bound(kind, 1, 2));
        now_ = uint32(bound(now_, 0, 1000));
        period = uint32(bound(period, 0, kind == 1 ? 1100 : 300));
        vm.assume(keyHash != 0);
        found(1, 1, 1);
        goTo(now_);
        if (touched) registry.freeze();
        uint32 first = kind == 1 ? period : period * TERM;
        bool late = first <= now_ || (first == now_ + 1 && touched);
        if (late) {
            vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.KeyTooLate.selector, first));
        } else {
            vm.expectEmit(address(pool));
            emit ISubsidyPool.KeySet(1, kind, period, keyHash, HOP_PRICE);
        }
        vm.prank(signer);
        pool.setKey(1, kind, period, keyHash);
        (bytes32 stored, uint96 price) = pool.key(1, kind, period);
        vm.assertEq(stored, late ? bytes32(0) : keyHash);
        vm.assertEq(price, late ? 0 : HOP_PRICE);
    }

    /// @dev Epochs from before the registry's time have no beacon, and no key either.
    function test_setKey_failsForThePast() public {
        goTo(5);
        registry = new RelayRegistry(token, network, STAKE, UNBONDING, channels, address(court), PENALTY);
        pool = new SubsidyPool(channels, registry, network, TERM, CLAIM_WINDOW, WITHDRAWAL_NOTICE);
        vm.startPrank(sponsor);
        pool.createCampaign(signer, 1, 1);
        vm.assertFalse(registry.isFrozen(4));
        for (uint32 epoch = 4; epoch <= 5; ++epoch) {
            vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.KeyTooLate.selector, epoch));
            pool.setKey(1, 1, epoch, bytes32("k"));
        }
    }

    function test_setKey_failsIfSetOrInvalid() public {
        found(1, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NotSponsorOrSigner.selector));
        pool.setKey(1, 1, 5, bytes32("k"));
        vm.startPrank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidKind.selector, 0));
        pool.setKey(1, 0, 5, bytes32("k"));
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidKind.selector, 3));
        pool.setKey(1, 3, 5, bytes32("k"));
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidKey.selector));
        pool.setKey(1, 1, 5, 0);
        pool.setKey(1, 1, 5, bytes32("k"));
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.KeyAlreadySet.selector));
        pool.setKey(1, 1, 5, bytes32("k"));
        pool.setKey(1, 2, 5, bytes32("k"));
    }

    /// @dev A release published later does not change the price of a period that has its key.
    function test_setKey_fixesThePriceOfThePeriod() public {
        found(1, 1, 1);
        vm.prank(governor);
        network.publish(INetwork.Release(address(1), address(2), address(3), 1, 55, 7));
        vm.startPrank(sponsor);
        pool.setKey(1, 1, 6, bytes32("k"));
        pool.setKey(1, 1, 7, bytes32("k"));
        vm.stopPrank();
        vm.prank(governor);
        network.publish(INetwork.Release(address(1), address(2), address(3), 1, 66, 8));
        (, uint96 before) = pool.key(1, 1, 6);
        (, uint96 later) = pool.key(1, 1, 7);
        vm.assertEq(before, HOP_PRICE);
        vm.assertEq(later, 55);
    }

    // ---------------------------------------------------------------- withdrawal

    function testFuzz_withdrawal(uint96 budget, uint96 asked, uint96 total, uint40 wait) public {
        asked = uint96(bound(asked, 1, type(uint96).max));
        budget = uint96(bound(budget, asked, type(uint96).max));
        wait = uint40(bound(wait, 0, 2 * WITHDRAWAL_NOTICE));
        uint32 id = found(type(uint96).max, type(uint96).max, budget);
        uint40 due = uint40(block.timestamp) + WITHDRAWAL_NOTICE;
        vm.expectEmit(address(pool));
        emit ISubsidyPool.WithdrawalRequested(id, asked, due);
        vm.prank(sponsor);
        pool.requestWithdrawal(id, asked);
        uint96 paid = claim(id, relay, 0, total); // claims go on
        vm.warp(block.timestamp + wait);
        vm.startPrank(sponsor);
        if (wait < WITHDRAWAL_NOTICE) {
            vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NoticeRunning.selector, due));
            pool.finishWithdrawal(id, sponsor);
            return;
        }
        uint96 out = asked < budget - paid ? asked : budget - paid;
        vm.expectEmit(address(pool));
        emit ISubsidyPool.WithdrawalFinished(id, sponsor, out);
        pool.finishWithdrawal(id, sponsor);
        vm.assertEq(token.balanceOf(sponsor), out);
        vm.assertEq(pool.campaign(id).budget, budget - paid - out);
        vm.assertEq(pool.campaign(id).withdrawal, 0);
        vm.assertEq(channels.balanceOf(address(pool)), budget - paid - out);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WithdrawalNotRequested.selector));
        pool.finishWithdrawal(id, sponsor);
    }

    function test_withdrawal_atTheFirstSecondAfterTheNotice() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        vm.startPrank(sponsor);
        pool.requestWithdrawal(id, 500);
        uint40 due = uint40(block.timestamp) + WITHDRAWAL_NOTICE;
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NoticeRunning.selector, due));
        pool.finishWithdrawal(id, sponsor);
        vm.warp(due);
        pool.finishWithdrawal(id, sponsor);
        vm.assertEq(token.balanceOf(sponsor), 500);
    }

    function test_withdrawal_failsIfNotAsSaid() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.NotSponsor.selector);
        vm.startPrank(signer);
        vm.expectRevert(reason);
        pool.requestWithdrawal(id, 1);
        vm.expectRevert(reason);
        pool.finishWithdrawal(id, signer);
        vm.expectRevert(reason);
        pool.setSigner(id, signer);
        vm.stopPrank();
        vm.startPrank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ExceedsBudget.selector, 500, 501));
        pool.requestWithdrawal(id, 501);
        pool.requestWithdrawal(id, 500);
        vm.expectEmit(address(pool));
        emit ISubsidyPool.WithdrawalRequested(id, 0, 0);
        pool.requestWithdrawal(id, 0);
        vm.warp(block.timestamp + WITHDRAWAL_NOTICE);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WithdrawalNotRequested.selector));
        pool.finishWithdrawal(id, sponsor);
    }
}
