// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

contract SubsidyPoolTest is Fixture {
    uint256 private constant KEY = 0x516;
    uint96 private constant PERIOD_CAP = 1000;
    uint96 private constant RELAY_CAP = 400;
    address private signer = vm.addr(KEY);
    address private sponsor = address(0x5901);
    address private relay = address(0x4E1A);

    function create(uint96 periodCap, uint96 relayCap, uint96 budget) private returns (uint32 id) {
        vm.prank(sponsor);
        id = pool.createCampaign(signer, periodCap, relayCap);
        give(sponsor, address(pool), budget);
        vm.prank(sponsor);
        pool.fund(id, budget);
    }

    function claim(uint32 campaign, address to, uint32 period, uint96 total) private returns (uint96) {
        return pool.claim(campaign, to, period, total, poolVoucher(KEY, campaign, to, period, total));
    }

    // ---------------------------------------------------------------- campaigns

    function testFuzz_createAndFund(address by, address sign, uint96 periodCap, uint96 relayCap, uint96 budget)
        public
    {
        assumeAccount(by);
        vm.assume(sign != address(0));
        vm.prank(by);
        vm.assertEq(pool.createCampaign(sign, periodCap, relayCap), 1);
        give(by, address(pool), budget);
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
        create(1, 1, 1);
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSigner.selector));
        pool.setSigner(1, address(0));
    }

    function test_constructor_failsIfNoticeIsNotLonger() public {
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.InvalidParameters.selector);
        vm.expectRevert(reason);
        new SubsidyPool(channels, registry, network, TERM, CLAIM_WINDOW, CLAIM_WINDOW);
        vm.expectRevert(reason);
        new SubsidyPool(channels, registry, network, 0, CLAIM_WINDOW, WITHDRAWAL_NOTICE);
    }

    // ---------------------------------------------------------------- keys

    function testFuzz_setKey(uint8 kind, uint32 period, uint32 now_, bool touched, bytes32 keyHash) public {
        kind = uint8(bound(kind, 1, 2));
        now_ = uint32(bound(now_, 0, 1000));
        period = uint32(bound(period, 0, kind == 1 ? 1100 : 300));
        vm.assume(keyHash != 0);
        create(1, 1, 1);
        goTo(now_);
        if (touched) registry.freeze();
        uint32 first = kind == 1 ? period : period * TERM;
        bool late = first <= now_ || (first == now_ + 1 && touched);
        if (late) vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.KeyTooLate.selector, first));
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
        create(1, 1, 1);
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
        create(1, 1, 1);
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

    // ---------------------------------------------------------------- claim

    struct Limits {
        uint96 period;
        uint96 relay;
        uint96 budget;
    }

    /// @dev I5: three claims by two relays in any two periods, any caps, any budget.
    function testFuzz_claim_staysWithinEveryLimit(uint96[3] memory totals, Limits memory limits, bool same) public {
        uint32 id = create(limits.period, limits.relay, limits.budget);
        address other = address(0x07);
        uint96[3] memory paid;
        paid[0] = claim(id, relay, 0, totals[0]);
        vm.assertEq(paid[0], least(totals[0], limits));
        Limits memory rest = Limits(limits.period - paid[0], limits.relay, limits.budget - paid[0]);
        paid[1] = claim(id, other, 0, totals[1]);
        vm.assertEq(paid[1], least(totals[1], rest));
        rest.period = same ? rest.period - paid[1] : limits.period;
        rest.relay = same ? limits.relay - paid[0] : limits.relay;
        rest.budget -= paid[1];
        goTo(1);
        paid[2] = claim(id, relay, same ? 0 : 1, totals[2]);
        vm.assertEq(paid[2], least(totals[2] > paid[0] ? totals[2] - paid[0] : 0, rest));

        vm.assertEq(channels.balanceOf(relay), uint256(paid[0]) + paid[2]);
        vm.assertEq(channels.balanceOf(other), paid[1]);
        vm.assertEq(pool.campaign(id).budget, rest.budget - paid[2]);
        vm.assertEq(channels.balanceOf(address(pool)), rest.budget - paid[2]);
        (uint96 claimed,,) = pool.claimedBy(id, relay);
        vm.assertEq(claimed, uint256(paid[0]) + paid[2]);
    }

    function least(uint96 owed, Limits memory limits) private pure returns (uint96) {
        uint96 caps = limits.period < limits.relay ? limits.period : limits.relay;
        uint96 most = caps < limits.budget ? caps : limits.budget;
        return owed < most ? owed : most;
    }

    /// @dev What a cap held back is paid in a later period; what the budget lacked, after it was raised.
    function test_claim_losesNothingToALimit() public {
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
        vm.assertEq(claim(id, relay, 0, 900), 400);
        vm.assertEq(claim(id, relay, 0, 900), 0);
        goTo(1);
        vm.assertEq(claim(id, relay, 1, 900), 100);
        give(governor, address(pool), 500);
        vm.prank(governor);
        pool.fund(id, 500);
        vm.assertEq(claim(id, relay, 1, 900), 300);
        goTo(2);
        vm.assertEq(claim(id, relay, 2, 900), 100);
        vm.assertEq(claim(id, relay, 2, 900), 0);
        vm.assertEq(channels.balanceOf(relay), 900);
        vm.assertEq(pool.paidInPeriod(id, 1), 400);
    }

    function test_claim_failsOutsideItsTime() public {
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
        bytes memory one = poolVoucher(KEY, id, relay, 1, 10);
        bytes memory two = poolVoucher(KEY, id, relay, 2, 20);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodInFuture.selector, 1));
        pool.claim(id, relay, 1, 10, one);
        uint256 closedAt = network.epochStart(2) + CLAIM_WINDOW;
        vm.warp(closedAt);
        pool.claim(id, relay, 1, 10, one);
        vm.warp(closedAt + 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ClaimWindowOver.selector, 1, closedAt));
        pool.claim(id, relay, 1, 10, one);
        goTo(4);
        pool.claim(id, relay, 2, 20, two);
        bytes memory late = poolVoucher(KEY, id, relay, 1, 30);
        vm.warp(closedAt);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodTooOld.selector, 1, 2));
        pool.claim(id, relay, 1, 30, late);
    }

    function testFuzz_claim_failsIfSignedByAnother(uint256 key, uint96 total) public {
        key = keyFrom(key);
        vm.assume(key != KEY);
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
        expectRefused(id, relay, 0, total, poolVoucher(key, id, relay, 0, total));
    }

    function testFuzz_claim_failsIfAnythingElseWasSigned(uint96 total, address other) public {
        vm.assume(other != relay);
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
        create(PERIOD_CAP, RELAY_CAP, 500);
        goTo(1);
        bytes memory signed = poolVoucher(KEY, id, relay, 0, total);
        expectRefused(id + 1, relay, 0, total, signed);
        expectRefused(id, other, 0, total, signed);
        expectRefused(id, relay, 1, total, signed);
        expectRefused(id, relay, 0, total ^ 1, signed);
        expectRefused(99, relay, 0, total, signed);
        vm.prank(sponsor);
        pool.setSigner(id, sponsor);
        expectRefused(id, relay, 0, total, signed);
    }

    function expectRefused(uint32 id, address to, uint32 period, uint96 total, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSignature.selector));
        pool.claim(id, to, period, total, signed);
    }

    // ---------------------------------------------------------------- withdrawal

    function testFuzz_withdrawal(uint96 budget, uint96 asked, uint96 total, uint40 wait) public {
        asked = uint96(bound(asked, 1, type(uint96).max));
        budget = uint96(bound(budget, asked, type(uint96).max));
        wait = uint40(bound(wait, 0, 2 * WITHDRAWAL_NOTICE));
        uint32 id = create(type(uint96).max, type(uint96).max, budget);
        vm.prank(sponsor);
        pool.requestWithdrawal(id, asked);
        uint40 due = uint40(block.timestamp) + WITHDRAWAL_NOTICE;
        uint96 paid = claim(id, relay, 0, total); // claims go on
        vm.warp(block.timestamp + wait);
        vm.startPrank(sponsor);
        if (wait < WITHDRAWAL_NOTICE) {
            vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NoticeRunning.selector, due));
            pool.finishWithdrawal(id, sponsor);
            return;
        }
        pool.finishWithdrawal(id, sponsor);
        uint96 out = asked < budget - paid ? asked : budget - paid;
        vm.assertEq(token.balanceOf(sponsor), out);
        vm.assertEq(pool.campaign(id).budget, budget - paid - out);
        vm.assertEq(channels.balanceOf(address(pool)), budget - paid - out);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WithdrawalNotRequested.selector));
        pool.finishWithdrawal(id, sponsor);
    }

    function test_withdrawal_atTheFirstSecondAfterTheNotice() public {
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
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
        uint32 id = create(PERIOD_CAP, RELAY_CAP, 500);
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
        pool.requestWithdrawal(id, 0);
        vm.warp(block.timestamp + WITHDRAWAL_NOTICE);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WithdrawalNotRequested.selector));
        pool.finishWithdrawal(id, sponsor);
    }
}
