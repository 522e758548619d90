// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {PoolStage} from "./PoolStage.sol";
import {vm} from "./Vm.sol";

contract SubsidyPoolClaimTest is PoolStage {
    uint96 private constant PERIOD_CAP = 1000;
    uint96 private constant RELAY_CAP = 400;
    address private relay = address(0x4E1A);

    // ---------------------------------------------------------------- claim

    struct Limits {
        uint96 period;
        uint96 relay;
        uint96 budget;
    }

    /// @dev I5: three claims by two relays in any two periods, any caps, any budget.
    function testFuzz_claim_staysWithinEveryLimit(uint96[3] memory totals, Limits memory limits, bool same) public {
        uint32 id = found(limits.period, limits.relay, limits.budget);
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
        (uint96 claimed,,,) = pool.claimedBy(id, relay);
        vm.assertEq(claimed, uint256(paid[0]) + paid[2]);
    }

    function least(uint96 owed, Limits memory limits) private pure returns (uint96) {
        uint96 caps = limits.period < limits.relay ? limits.period : limits.relay;
        uint96 most = caps < limits.budget ? caps : limits.budget;
        return owed < most ? owed : most;
    }

    function test_claim_saysWhatItPaid() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        claim(id, relay, 0, 30);
        vm.expectEmit(address(pool));
        emit ISubsidyPool.PoolClaimed(id, relay, 0, 20, 50);
        vm.assertEq(claim(id, relay, 0, 50), 20);
        vm.assertEq(claim(id, relay, 0, 50), 0);
        vm.assertEq(claim(id, relay, 0, 49), 0);
        (uint96 claimed, uint32 period, uint96 inPeriod, bool vouchered) = pool.claimedBy(id, relay);
        vm.assertEq(claimed, 50);
        vm.assertEq(period, 0);
        vm.assertEq(inPeriod, 50);
        vm.assertTrue(vouchered);
    }

    /// @dev What a cap held back is paid in a later period; what the budget lacked, after it was raised.
    function test_claim_losesNothingToALimit() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
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

    /// @dev A cap of zero pays nothing, ever, and nothing is booked.
    function test_claim_paysNothingWhereACapIsZero() public {
        uint32 none = found(PERIOD_CAP, 0, 500);
        uint32 nobody = found(0, RELAY_CAP, 500);
        for (uint32 id = none; id <= nobody; ++id) {
            vm.assertEq(claim(id, relay, 0, 900), 0);
            vm.assertEq(pool.paidInPeriod(id, 0), 0);
            vm.assertEq(pool.campaign(id).budget, 500);
        }
        vm.assertEq(channels.balanceOf(relay), 0);
    }

    function test_claim_failsOutsideItsTime() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        uint256 startsAt = network.epochStart(1);
        vm.warp(startsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodInFuture.selector, 1));
        claim(id, relay, 1, 10);
        vm.warp(startsAt);
        vm.assertEq(claim(id, relay, 1, 10), 10);
        uint256 closedAt = network.epochStart(2) + CLAIM_WINDOW;
        vm.warp(closedAt);
        vm.assertEq(claim(id, relay, 1, 11), 1);
        vm.warp(closedAt + 1);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.ClaimWindowOver.selector, 1, closedAt));
        claim(id, relay, 1, 12);
        goTo(4);
        vm.assertEq(claim(id, relay, 2, 20), 9);
        vm.warp(closedAt);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PeriodTooOld.selector, 1, 2));
        claim(id, relay, 1, 30);
    }

    function testFuzz_claim_failsIfSignedByAnother(uint256 key, uint96 total) public {
        key = keyFrom(key);
        vm.assume(key != SIGNER_KEY);
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        expectRefused(id, relay, 0, total, poolVoucher(key, id, relay, 0, total));
    }

    function testFuzz_claim_failsIfAnythingElseWasSigned(uint96 total, address other) public {
        vm.assume(other != relay);
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        found(PERIOD_CAP, RELAY_CAP, 500);
        goTo(1);
        bytes memory signed = poolVoucher(SIGNER_KEY, id, relay, 0, total);
        expectRefused(id + 1, relay, 0, total, signed);
        expectRefused(id, other, 0, total, signed);
        expectRefused(id, relay, 1, total, signed);
        expectRefused(id, relay, 0, total ^ 1, signed);
        expectRefused(99, relay, 0, total, signed);
    }

    /// @dev The other s of the same signature, and none.
    function testFuzz_claim_failsIfNotCanonical(uint96 total) public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        bytes memory signed = poolVoucher(SIGNER_KEY, id, relay, 0, total);
        (bytes32 r, bytes32 s) = abi.decode(signed, (bytes32, bytes32));
        bytes32 high = bytes32(ORDER - uint256(s));
        expectRefused(
            id, relay, 0, total, abi.encodePacked(r, high, signed[64] == 0x1b ? bytes1(0x1c) : bytes1(0x1b))
        );
        expectRefused(id, relay, 0, total, abi.encodePacked(bytes32(0), bytes32(0), bytes1(0x1b)));
    }

    function expectRefused(uint32 id, address to, uint32 period, uint96 total, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSignature.selector));
        submit(to, id, period, total, signed);
    }

    /// @dev A voucher that brings nothing says nothing and changes nothing: not the period, which would end what an earlier one
    /// can still bring, nor the relay's right to redeem passes.
    function test_claim_ofNothing_changesNothing() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 0);
        goTo(1);
        vm.recordLogs();
        vm.assertEq(claim(id, relay, 1, 50), 0); // nothing is there yet
        (uint96 claimed, uint32 period, uint96 inPeriod, bool vouchered) = pool.claimedBy(id, relay);
        vm.assertEq(claimed + period + inPeriod, 0);
        vm.assertFalse(vouchered);
        vm.assertEq(pool.paidInPeriod(id, 0), 0);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        give(sponsor, address(pool), 500);
        vm.prank(sponsor);
        pool.fund(id, 500);
        vm.assertEq(claim(id, relay, 0, 50), 50);
        vm.assertEq(pool.paidInPeriod(id, 0), 50);
        vm.recordLogs();
        vm.assertEq(claim(id, relay, 1, 50), 0);
        vm.assertEq(claim(id, relay, 0, 20), 0);
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    // ---------------------------------------------------------------- signers

    /// @dev What the former signer signed stays valid for a claim window; the new one's is valid at once.
    function test_claim_byTheFormerSigner() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        uint256 next = 0x517;
        uint40 until = uint40(block.timestamp) + CLAIM_WINDOW;
        vm.expectEmit(address(pool));
        emit ISubsidyPool.SignerChanged(id, vm.addr(next), until);
        vm.prank(sponsor);
        pool.setSigner(id, vm.addr(next));
        (address former, uint40 validUntil) = pool.formerSigner(id);
        vm.assertEq(former, signer);
        vm.assertEq(validUntil, until);
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.FormerSignerValid.selector, until));
        pool.setSigner(id, sponsor);

        vm.assertEq(claim(next, id, relay, 0, 10), 10);
        vm.warp(until);
        vm.assertEq(claim(id, relay, 2, 20), 10);
        expectRefused(id, relay, 2, 30, poolVoucher(0x518, id, relay, 2, 30));
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.FormerSignerValid.selector, until));
        pool.setSigner(id, sponsor);

        vm.warp(until + 1);
        expectRefused(id, relay, 2, 30, poolVoucher(SIGNER_KEY, id, relay, 2, 30));
        vm.assertEq(claim(next, id, relay, 2, 30), 10);
        vm.prank(sponsor);
        pool.setSigner(id, sponsor);
        vm.assertEq(claim(next, id, relay, 2, 40), 10);
        expectRefused(id, relay, 2, 50, poolVoucher(SIGNER_KEY, id, relay, 2, 50));
    }

    /// @dev Whoever stole the former signer's key sets no keys.
    function test_setKey_failsForTheFormerSigner() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        vm.prank(sponsor);
        pool.setSigner(id, address(0x517));
        vm.prank(signer);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NotSponsorOrSigner.selector));
        pool.setKey(id, 1, 5, bytes32("k"));
        vm.prank(address(0x517));
        pool.setKey(id, 1, 5, bytes32("k"));
    }

    /// @dev A signature that recovers to no account is not one of the former signer that never was.
    function test_claim_failsWithoutAFormerSigner() public {
        uint32 id = found(PERIOD_CAP, RELAY_CAP, 500);
        vm.warp(0);
        expectRefused(id, relay, 0, 1, abi.encodePacked(bytes32(0), bytes32(0), bytes1(0x1b)));
    }
}
