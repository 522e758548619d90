// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {PassMaker} from "./PassMaker.sol";
import {vm} from "./Vm.sol";

/// @dev What passes pay, when, and how vouchers and passes go together.
contract SubsidyPoolPassesTest is PassMaker {
    uint32 private constant LATER = PERIOD + 1; // a campaign made now can still set its key

    /// @dev For the relay at position 0: spent up to tick 3 in PERIOD, up to tick 4 in LATER.
    ISubsidyPool.Pass private early;
    ISubsidyPool.Pass private late;

    function setUp() public override {
        super.setUp();
        goTo(LATER); // all draws are done
        early = passFor(0, ENTRY, PERIOD, 1, 3);
        late = passFor(0, ENTRY, LATER, 1, 4);
        goTo(1);
    }

    function goAfter(uint32 epoch) private {
        goTo(epoch + 1);
    }

    function test_redeem_paysTicksAtThePriceOfTheKey() public {
        goAfter(PERIOD);
        ISubsidyPool.Pass memory p = passFor(1, ENTRY, PERIOD, 1, 300);
        bytes32[] memory anchors = new bytes32[](1);
        uint16[] memory ticks = new uint16[](1);
        (anchors[0], ticks[0]) = (p.anchor, 300);
        uint96 worth = 300 * 5 * HOP_PRICE;
        bytes32 id = digestOf(campaign, ENTRY, PERIOD, p.anchor);
        vm.assertFalse(pool.isRedeemed(id));
        vm.expectEmit(address(pool));
        emit ISubsidyPool.PassesRedeemed(campaign, operator(1), ENTRY, PERIOD, worth, worth, anchors, ticks);
        vm.assertEq(redeem(1, PERIOD, p), worth);
        vm.assertTrue(pool.isRedeemed(id));
        vm.assertEq(channels.balanceOf(operator(1)), worth);
        vm.assertEq(channels.balanceOf(address(pool)), RICH - worth);
        vm.assertEq(pool.campaign(campaign).budget, RICH - worth);
        vm.assertEq(pool.paidInPeriod(campaign, PERIOD), worth);
        assertPaid(1, worth, PERIOD, worth, false);
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_redeem_anyTicksOfAnyRelay(uint256 seed, uint256[3] memory ticks, uint32 position) public {
        goAfter(PERIOD);
        position %= RELAYS;
        ISubsidyPool.Pass[] memory passes = new ISubsidyPool.Pass[](3);
        uint256 total = 0;
        for (uint256 i = 0; i < 3; ++i) {
            ticks[i] = bound(ticks[i], 1, 16_384);
            passes[i] = passFor(position, ENTRY, PERIOD, uint256(keccak256(abi.encode(seed, i))), ticks[i]);
            total += ticks[i];
        }
        vm.assertEq(redeem(position, PERIOD, passes), total * 5 * HOP_PRICE);
        vm.assertEq(channels.balanceOf(operator(position)), total * 5 * HOP_PRICE);
    }

    function test_redeem_fromTheFirstTickToTheLast() public {
        goAfter(PERIOD);
        ISubsidyPool.Pass[] memory passes = new ISubsidyPool.Pass[](2);
        passes[0] = passFor(0, ENTRY, PERIOD, 1, 1);
        passes[1] = passFor(0, ENTRY, PERIOD, 100, 16_384);
        vm.assertEq(redeem(0, PERIOD, passes), 16_385 * 5 * HOP_PRICE);
    }

    function test_redeem_mailboxPasses_countInTheLastEpochOfTheirTerm() public {
        ISubsidyPool.Pass[] memory passes = new ISubsidyPool.Pass[](1);
        uint32 last = 2 * TERM - 1;
        goTo(last);
        passes[0] = passFor(2, MAILBOX, TERM_PERIOD, 1, 1000);
        vm.expectRevert(
            abi.encodeWithSelector(ISubsidyPool.PeriodNotOver.selector, last, network.epochStart(last + 1))
        );
        redeemTerm(passes);
        goAfter(last);
        vm.assertEq(redeemTerm(passes), 1000 * 5 * HOP_PRICE);
        assertPaid(2, 1000 * 5 * HOP_PRICE, last, 1000 * 5 * HOP_PRICE, false);
        vm.assertEq(pool.paidInPeriod(campaign, last), 1000 * 5 * HOP_PRICE);
    }

    function redeemTerm(ISubsidyPool.Pass[] memory passes) private returns (uint96) {
        ISubsidyPool.RelayProof memory proof = place(2);
        vm.prank(operator(2));
        return pool.redeemPasses(campaign, MAILBOX, TERM_PERIOD, KnownPasses.modulus(), proof, passes);
    }

    /// @dev A release published later does not change what a tick of the period is worth.
    function test_redeem_paysThePriceFixedWithTheKey() public {
        vm.prank(governor);
        network.publish(INetwork.Release(address(1), address(2), address(3), 1, 2 * HOP_PRICE, PERIOD));
        goAfter(PERIOD);
        vm.assertEq(redeem(0, PERIOD, early), 3 * 5 * HOP_PRICE);
    }

    // ---------------------------------------------------------------- time

    function test_redeem_onlyBetweenPeriodAndWindow() public {
        goAfter(PERIOD);
        ISubsidyPool.Pass[3] memory p;
        for (uint256 i = 0; i < 3; ++i) {
            p[i] = passFor(0, ENTRY, PERIOD, 100 * i, 1);
        }
        uint256 endsAt = network.epochStart(LATER);
        vm.warp(endsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodNotOver.selector, PERIOD, endsAt));
        redeem(0, PERIOD, p[0]);
        vm.warp(endsAt);
        redeem(0, PERIOD, p[0]);
        vm.warp(endsAt + CLAIM_WINDOW);
        redeem(0, PERIOD, p[1]);
        vm.warp(endsAt + CLAIM_WINDOW + 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ClaimWindowOver.selector, PERIOD, endsAt + CLAIM_WINDOW));
        redeem(0, PERIOD, p[2]);
    }

    // ---------------------------------------------------------------- limits (I5)

    /// @dev All or nothing: what a limit holds back is not spent, and can be redeemed in part.
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_redeem_staysWithinEveryLimit(uint96 periodCap, uint96 relayCap, uint96 budget, uint256 tick)
        public
    {
        tick = bound(tick, 1, 16_384);
        uint96 worth = uint96(tick * 5 * HOP_PRICE);
        uint96[3] memory limits = [periodCap, relayCap, budget];
        uint96 least = type(uint96).max;
        for (uint256 i = 0; i < 3; ++i) {
            limits[i] = uint96(bound(limits[i], 0, 3 * uint256(worth)));
            if (limits[i] < least) least = limits[i];
        }
        campaign = found(limits[0], limits[1], limits[2]);
        setKey(campaign, ENTRY, LATER);
        goAfter(LATER);
        ISubsidyPool.Pass memory p = passFor(0, ENTRY, LATER, tick, tick);
        if (worth > least) {
            vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ExceedsLimits.selector, least, worth));
        }
        uint96 paid = redeem(0, LATER, p);
        vm.assertEq(paid, worth > least ? 0 : worth);
        vm.assertEq(pool.campaign(campaign).budget, limits[2] - paid);
        vm.assertTrue(pool.isRedeemed(digestOf(campaign, ENTRY, LATER, p.anchor)) == (paid != 0));
    }

    function test_redeem_whatALimitHeldBack_withAnEarlierTick() public {
        campaign = found(RICH, 100 * 5 * HOP_PRICE, RICH);
        setKey(campaign, ENTRY, LATER);
        goAfter(LATER);
        ISubsidyPool.Pass memory p = passFor(0, ENTRY, LATER, 1, 101);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISubsidyPool.ExceedsLimits.selector, 100 * 5 * HOP_PRICE, 101 * 5 * uint256(HOP_PRICE)
            )
        );
        redeem(0, LATER, p);
        (p.tick, p.link) = (100, keccak256(abi.encode(p.link)));
        vm.assertEq(redeem(0, LATER, p), 100 * 5 * HOP_PRICE);
    }

    /// @dev The totals are 96 bits wide: a campaign that paid nearly all of that pays no pass beyond.
    function test_redeem_failsAboveTheWidestTotal() public {
        campaign = found(type(uint96).max, type(uint96).max, type(uint96).max);
        setKey(campaign, ENTRY, LATER);
        goTo(PERIOD);
        claim(campaign, operator(0), PERIOD, type(uint96).max - 1);
        give(sponsor, address(pool), RICH);
        vm.prank(sponsor);
        pool.fund(campaign, RICH);
        goAfter(LATER);
        ISubsidyPool.Pass memory p = passFor(0, ENTRY, LATER, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ExceedsLimits.selector, 1, 5 * HOP_PRICE));
        redeem(0, LATER, p);
    }

    // ---------------------------------------------------------------- vouchers and passes

    function test_redeem_afterVouchersOfEarlierPeriods_beforeThoseOfItsOwn() public {
        uint96 one = 5 * HOP_PRICE;
        goAfter(LATER);
        claim(campaign, operator(0), PERIOD, 10 * one);
        vm.assertEq(redeem(0, LATER, passFor(0, ENTRY, LATER, 1, 20)), 20 * one);
        assertPaid(0, 30 * one, LATER, 20 * one, false);
        vm.assertEq(redeem(0, LATER, passFor(0, ENTRY, LATER, 100, 5)), 5 * one);
        vm.assertEq(claim(campaign, operator(0), LATER, 36 * one), one); // its total includes what was redeemed here
        assertPaid(0, 36 * one, LATER, 26 * one, true);
        ISubsidyPool.Pass memory third = passFor(0, ENTRY, LATER, 200, 5);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.VoucherClaimed.selector, LATER));
        redeem(0, LATER, third);
        vm.assertEq(redeem(1, LATER, passFor(1, ENTRY, LATER, 1, 3)), 3 * one); // others may
        goAfter(PERIOD + 2);
        vm.assertEq(redeem(0, PERIOD + 2, passFor(0, ENTRY, PERIOD + 2, 1, 2)), 2 * one);
        assertPaid(0, 38 * one, PERIOD + 2, 2 * one, false);
    }

    function test_redeem_failsAfterALaterPayment() public {
        goAfter(LATER);
        redeem(0, LATER, late);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodTooOld.selector, PERIOD, LATER));
        redeem(0, PERIOD, early);
        claim(campaign, operator(0), LATER, 100 * 5 * HOP_PRICE); // a voucher is no other reason
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodTooOld.selector, PERIOD, LATER));
        redeem(0, PERIOD, early);
    }

    /// @dev A voucher that pays nothing closes nothing.
    function test_redeem_afterAVoucherThatPaidNothing() public {
        goAfter(PERIOD);
        redeem(0, PERIOD, early);
        vm.assertEq(claim(campaign, operator(0), PERIOD, 3 * 5 * HOP_PRICE), 0);
        vm.assertEq(claim(campaign, operator(0), PERIOD, 0), 0);
        vm.assertEq(redeem(0, PERIOD, passFor(0, ENTRY, PERIOD, 100, 1)), 5 * HOP_PRICE);
    }

    /// @dev A signer that follows the rule, and a relay that mixes vouchers and passes of two periods in any order: it is
    /// never paid more than all of it, and what it did not void itself it gets.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_noOrderPaysTwice(uint8[6] memory order) public {
        goAfter(LATER);
        uint96 one = 5 * HOP_PRICE;
        for (uint256 i = 0; i < order.length; ++i) {
            uint256 what = order[i] % 4;
            if (what == 0) try this.tryClaim(PERIOD, 3 * one) {} catch {}
            if (what == 1) try this.tryClaim(LATER, 7 * one) {} catch {}
            if (what == 2) try this.tryRedeem(PERIOD, early) {} catch {}
            if (what == 3) try this.tryRedeem(LATER, late) {} catch {}
            vm.assertLe(channels.balanceOf(operator(0)), 7 * one);
        }
        try this.tryClaim(LATER, 7 * one) {} catch {}
        vm.assertEq(channels.balanceOf(operator(0)), 7 * one);
    }

    function tryClaim(uint32 period, uint96 total) external {
        claim(campaign, operator(0), period, total);
    }

    function tryRedeem(uint32 period, ISubsidyPool.Pass memory p) external {
        redeem(0, period, p);
    }

    function assertPaid(uint256 position, uint96 claimed, uint32 period, uint96 inPeriod, bool vouchered)
        private
        view
    {
        (uint96 a, uint32 b, uint96 c, bool d) = pool.claimedBy(campaign, operator(position));
        vm.assertEq(a, claimed);
        vm.assertEq(b, period);
        vm.assertEq(c, inPeriod);
        vm.assertTrue(d == vouchered);
    }
}
