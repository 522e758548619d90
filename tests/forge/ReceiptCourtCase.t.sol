// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {ReceiptSamples} from "../../contracts/lib/ReceiptSamples.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {Vm, vm} from "./Vm.sol";

/// @dev An open case: its seed, and the three ways in which it ends.
contract ReceiptCourtCaseTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    uint96 private constant BASE = 7e18;
    uint32 private constant NUMBER = 5;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);
    address private anyone = address(0xA17);

    // ---------------------------------------------------------------- record

    /// @dev From the fifth block after the opening on, and 255 more: the hash of the fourth.
    function testFuzz_record(uint256 blocks) public {
        checkRecord(bound(blocks, 0, 600), NUMBER);
    }

    function test_record_firstAndLastBlock() public {
        uint256[4] memory edges = [uint256(4), 5, 260, 261];
        for (uint256 i = 0; i < edges.length; ++i) {
            uint32 number = NUMBER + uint32(i);
            IReceiptCourt.Case memory c = checkRecord(edges[i], number);
            uint96 total = BASE + uint96(c.amount) * HOP_PRICE;
            court.answer(c, total, number, voucher(KEY, bob, total, number)); // for the next round
        }
    }

    function checkRecord(uint256 blocks, uint32 number) private returns (IReceiptCourt.Case memory c) {
        (c,,) = given(3, number);
        uint256 seedBlock = c.openBlock + 4;
        vm.roll(c.openBlock + blocks);
        bytes32 hash = blockhash(seedBlock);
        vm.assertTrue((hash != 0) == (blocks >= 5 && blocks <= 260));
        if (hash == 0) {
            vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.SeedBlockUnavailable.selector, seedBlock));
        } else {
            vm.expectEmit(address(court));
            emit IReceiptCourt.SeedDrawn(alice, bob, hash);
        }
        vm.prank(anyone);
        court.record(c);
        (, bytes32 seed) = court.openCase(alice, bob);
        vm.assertEq(seed, hash);
    }

    /// @dev Never drawn again, whatever the block's hash would be now.
    function test_record_failsIfRecorded() public {
        (IReceiptCourt.Case memory c,,) = given(3);
        bytes32 seed = draw(c);
        vm.setBlockhash(c.openBlock + 4, keccak256("another"));
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.SeedRecorded.selector));
        court.record(c);
        (, bytes32 still) = court.openCase(alice, bob);
        vm.assertEq(still, seed);
    }

    // ---------------------------------------------------------------- finish

    function testFuzz_finish(uint256 seed, uint256 count, uint40 wait, address by) public {
        count = bound(count, 1, 70);
        wait = uint40(bound(wait, ANSWER_WINDOW, ANSWER_WINDOW + FINISH_WINDOW - 1));
        Receipts memory r = receiptsOf(count, seed);
        Trees memory t = treesOf(r);
        IReceiptCourt.Case memory c = file(r, t);
        bytes memory samples = samplesOf(r, t, draw(c));
        vm.warp(c.openedAt + wait);
        expectJudged(BASE + uint96(c.amount) * HOP_PRICE + COURT_COST);
        expectBond(c, bob);
        vm.prank(by);
        court.finish(c, samples);
        checkOver(c);
        checkJudgement(BASE + uint96(c.amount) * HOP_PRICE + COURT_COST, NUMBER);
        vm.assertEq(channels.balanceOf(bob), bondOf(c.amount, HOP_PRICE));
    }

    function test_finish_firstAndLastSecond() public {
        (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) = given(3);
        bytes memory samples = samplesOf(r, t, draw(c));
        uint256 from = c.openedAt + ANSWER_WINDOW;
        uint256 until = from + FINISH_WINDOW;
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.OutsideFinishWindow.selector, from, until);
        vm.warp(from - 1);
        vm.expectRevert(reason);
        court.finish(c, samples);
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(until + late);
            vm.expectRevert(reason);
            court.finish(c, samples);
        }
        vm.warp(until - 1);
        court.finish(c, samples);
        checkJudgement(BASE + uint96(c.amount) * HOP_PRICE + COURT_COST, NUMBER);
        (c, r, t) = given(4, NUMBER + 1);
        samples = samplesOf(r, t, draw(c));
        vm.warp(c.openedAt + ANSWER_WINDOW);
        court.finish(c, samples);
        checkJudgement(BASE + uint96(c.amount) * HOP_PRICE + COURT_COST, NUMBER + 1);
    }

    function test_finish_failsWithoutSeed() public {
        (IReceiptCourt.Case memory c,,) = given(3);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.SeedMissing.selector));
        court.finish(c, "");
    }

    /// @dev A payee that shows the wrong thing has lost nothing yet: it can try again while there is time.
    function test_finish_failsIfSamplesProveNothing() public {
        (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) = given(9);
        bytes32 seed = draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.InvalidSamples.selector));
        court.finish(c, "");
        bytes memory samples = samplesOf(r, t, seed);
        samples[samples.length - 73] ^= 0x01; // a lock, or a node of the locks' tree
        expectRefused(c, samples);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.InvalidSamples.selector));
        court.finish(c, abi.encodePacked(samplesOf(r, t, seed), uint8(0)));
        samples = samplesOf(r, t, seed);
        samples[1 + 4 * uint8(samples[0])] ^= 0x01; // what is read first: a response, or a node's hash
        expectRefused(c, samples);
        court.finish(c, samplesOf(r, t, seed));
    }

    function expectRefused(IReceiptCourt.Case memory c, bytes memory samples) private {
        try court.finish(c, samples) {
            vm.assertTrue(false);
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            bool known =
                selector == ReceiptSamples.NoReceipt.selector || selector == IReceiptCourt.InvalidSamples.selector;
            vm.assertTrue(known);
        }
    }

    /// @dev A leaf that is no receipt, in the only place there is.
    function test_finish_failsIfLeafIsNoReceipt() public {
        (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) = given(1);
        bytes32 seed = draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        r.responses[0] ^= 1;
        bytes memory samples = samplesOf(r, t, seed);
        vm.expectRevert(abi.encodeWithSelector(ReceiptSamples.NoReceipt.selector));
        court.finish(c, samples);
    }

    // ---------------------------------------------------------------- answer

    /// @dev The voucher is judged as it stands, without costs.
    function testFuzz_answer(uint96 cumulative, uint32 uptoBatch, uint40 wait, bool drawn) public {
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 admitted = BASE + uint96(c.amount) * HOP_PRICE;
        cumulative = uint96(bound(cumulative, admitted, type(uint96).max));
        bool byPayee = wait % 2 == 0; // who can do so also later, and by a voucher for later batches
        uptoBatch = byPayee ? uint32(bound(uptoBatch, NUMBER, type(uint32).max)) : NUMBER;
        if (drawn) draw(c);
        wait = uint40(bound(wait, 0, byPayee ? 1000 days : ANSWER_WINDOW - 1));
        vm.warp(block.timestamp + wait);
        bytes memory signed = voucher(KEY, bob, cumulative, uptoBatch);
        vm.expectEmit(address(court));
        emit IReceiptCourt.CaseAnswered(alice, bob, cumulative, uptoBatch, signed);
        vm.expectEmit(address(court));
        emit IReceiptCourt.Judged(alice, bob, uptoBatch, cumulative);
        expectBond(c, bob);
        vm.prank(byPayee ? bob : anyone);
        court.answer(c, cumulative, uptoBatch, signed);
        checkOver(c);
        checkJudgement(cumulative, uptoBatch);
    }

    /// @dev A total of later batches is no judgement of this one: the case goes on, and proves what it proves, without costs.
    function testFuzz_answer_uptoALaterBatch(uint96 more, uint32 uptoBatch, address caller, bool twice) public {
        vm.assume(caller != bob);
        (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) = given(3);
        uint96 admitted = BASE + uint96(c.amount) * HOP_PRICE;
        uint96 cumulative = admitted + uint96(bound(more, 0, type(uint96).max - admitted));
        uptoBatch = uint32(bound(uptoBatch, NUMBER + 1, type(uint32).max));
        bytes memory signed = voucher(KEY, bob, cumulative, uptoBatch);
        for (uint256 i = 0; i < (twice ? 2 : 1); ++i) {
            vm.expectEmit(address(court));
            emit IReceiptCourt.CaseAdmitted(alice, bob, cumulative, uptoBatch, signed);
            vm.prank(caller);
            court.answer(c, cumulative, uptoBatch, signed);
            vm.assertEq(court.judgement(alice, bob).total, 0);
            vm.assertEq(channels.balanceOf(address(court)), bondOf(c.amount, HOP_PRICE));
        }
        (bytes32 caseHash,) = court.openCase(alice, bob);
        vm.assertEq(caseHash, keccak256(abi.encode(c)));
        finish(c, r, t);
        checkOver(c);
        checkJudgement(admitted, NUMBER);
        // The next case knows nothing of that.
        (c, r, t) = given(9, NUMBER + 1);
        finish(c, r, t);
        checkJudgement(BASE + uint96(c.amount) * HOP_PRICE + COURT_COST, NUMBER + 1);
    }

    /// @dev Who cannot prove what it claims loses its bond, also where as much was signed for later batches.
    function test_answer_uptoALaterBatch_thenNothingProven() public {
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 total = BASE + uint96(c.amount) * HOP_PRICE;
        court.answer(c, total, NUMBER + 1, voucher(KEY, bob, total, NUMBER + 1));
        vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW);
        expectBond(c, alice);
        court.expire(c);
        checkOver(c);
        (c,,) = given(3); // and the next one is not admitted
        vm.warp(c.openedAt + ANSWER_WINDOW);
        vm.prank(bob);
        court.answer(c, total, NUMBER, voucher(KEY, bob, total, NUMBER));
        checkJudgement(total, NUMBER);
    }

    /// @dev Later it is for the payee to prove its case, costs included; a voucher is no way around them for the payer.
    function testFuzz_answer_failsIfTooLate(uint40 wait, address caller) public {
        vm.assume(caller != bob);
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 total = BASE + uint96(c.amount) * HOP_PRICE;
        bytes memory signed = voucher(KEY, bob, total, NUMBER);
        uint256 until = c.openedAt + ANSWER_WINDOW;
        vm.warp(until + bound(wait, 0, 1000 days));
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.AnswerWindowOver.selector, until));
        vm.prank(caller);
        court.answer(c, total, NUMBER, signed);
        vm.prank(bob);
        court.answer(c, total, NUMBER, signed);
        checkJudgement(total, NUMBER);
    }

    function testFuzz_answer_failsIfItAdmitsLess(uint96 cumulative, uint32 uptoBatch) public {
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 admitted = BASE + uint96(c.amount) * HOP_PRICE;
        uint96 enough = uint96(bound(cumulative, admitted, type(uint96).max));
        cumulative = uint96(bound(cumulative, 0, admitted - 1));
        uint32 early = uint32(bound(uptoBatch, 0, NUMBER - 1));
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InsufficientAnswer.selector);
        expectAnswerRefused(c, cumulative, NUMBER, reason);
        expectAnswerRefused(c, cumulative, early, reason);
        expectAnswerRefused(c, enough, early, reason);
    }

    function expectAnswerRefused(IReceiptCourt.Case memory c, uint96 total, uint32 upto, bytes memory reason)
        private
    {
        bytes memory signed = voucher(KEY, bob, total, upto);
        vm.expectRevert(reason);
        court.answer(c, total, upto, signed);
    }

    function testFuzz_answer_failsIfNotThePayersVoucher(uint256 key, uint96 more) public {
        key = keyFrom(key);
        vm.assume(key != KEY);
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 total = BASE + uint96(c.amount) * HOP_PRICE;
        total += uint96(bound(more, 0, type(uint96).max - total));
        expectUnsigned(c, total, voucher(key, bob, total, NUMBER));
        expectUnsigned(c, total, voucher(KEY, anyone, total, NUMBER));
        expectUnsigned(c, total, voucher(KEY, bob, total ^ 1, NUMBER));
        expectUnsigned(c, total, voucher(KEY, bob, total, NUMBER + 1));
        expectUnsigned(c, total, "");
        vm.chainId(block.chainid + 1);
        bytes memory elsewhere = voucher(KEY, bob, total, NUMBER);
        vm.chainId(block.chainid - 1);
        expectUnsigned(c, total, elsewhere);
    }

    function expectUnsigned(IReceiptCourt.Case memory c, uint96 total, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.InvalidSignature.selector));
        court.answer(c, total, NUMBER, signed);
    }

    /// @dev A smaller total than one judged before takes nothing back, and is not written down.
    function test_answer_keepsTheLargerJudgement() public {
        uint96 larger = BASE + 1000 * HOP_PRICE;
        judge(KEY, bob, larger, NUMBER - 1);
        vm.warp(block.timestamp + 10);
        (IReceiptCourt.Case memory c,,) = given(3);
        bytes memory signed = voucher(KEY, bob, larger - 1, NUMBER);
        vm.recordLogs();
        court.answer(c, larger - 1, NUMBER, signed);
        vm.assertEq(vm.getRecordedLogs().length, 2); // answered, and the bond moved
        IReceiptCourt.Judgement memory j = court.judgement(alice, bob);
        vm.assertEq(j.total, larger);
        vm.assertEq(j.number, NUMBER - 1);
        vm.assertEq(j.judgedAt, block.timestamp - 10);
    }

    /// @dev Nor does the same total once more: neither batch nor time change, so the grace does not begin anew.
    function test_answer_keepsAnEqualJudgement() public {
        uint96 total = BASE + 1000 * HOP_PRICE;
        judge(KEY, bob, total, NUMBER - 1);
        vm.warp(block.timestamp + 10);
        (IReceiptCourt.Case memory c,,) = given(3);
        vm.recordLogs();
        court.answer(c, total, NUMBER, voucher(KEY, bob, total, NUMBER));
        vm.assertEq(vm.getRecordedLogs().length, 2); // answered, and the bond moved
        vm.assertEq(court.judgement(alice, bob).number, NUMBER - 1);
        vm.assertEq(court.judgement(alice, bob).judgedAt, block.timestamp - 10);
    }

    // ---------------------------------------------------------------- expire

    function test_expire_whenTheSeedIsLost() public {
        (IReceiptCourt.Case memory c,,) = given(3);
        uint96 bond = bondOf(c.amount, HOP_PRICE);
        vm.roll(c.openBlock + 260);
        expectRunning(c);
        vm.roll(c.openBlock + 261);
        vm.expectEmit(address(court));
        emit IReceiptCourt.CaseExpired(alice, bob, bond);
        expectBond(c, alice);
        vm.prank(anyone);
        court.expire(c);
        checkOver(c);
        vm.assertEq(channels.balanceOf(alice), bond);
        vm.assertEq(channels.balanceOf(bob), 0);
        vm.assertEq(court.judgement(alice, bob).total, 0);
    }

    /// @dev With its seed a case runs to the end of the finish window, however many blocks that are.
    function testFuzz_expire_whenTheWindowIsOver(bool drawn, uint16 blocks) public {
        (IReceiptCourt.Case memory c,,) = given(3);
        if (drawn) draw(c);
        vm.roll(c.openBlock + (drawn ? 5 + uint256(blocks) : 4));
        vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW - 1);
        expectRunning(c);
        vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW);
        expectBond(c, alice);
        court.expire(c);
        checkOver(c);
        vm.assertEq(channels.balanceOf(address(court)), 0);
    }

    function expectRunning(IReceiptCourt.Case memory c) private {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.CaseRunning.selector));
        court.expire(c);
    }

    // ---------------------------------------------------------------- all of them

    /// @dev A case is every word of it: with any changed, there is none.
    function testFuzz_failIfTheCaseIsAnother(uint256 word, uint32 change) public {
        vm.assume(change != 0);
        (IReceiptCourt.Case memory c,,) = given(3);
        draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        expectNoCase(changed(c, word % 12, change));
        expectNoCase(IReceiptCourt.Case(bob, alice, 0, 0, c.batch, 0, 0, 0));
    }

    function changed(IReceiptCourt.Case memory c, uint256 word, uint32 change)
        private
        pure
        returns (IReceiptCourt.Case memory)
    {
        if (word == 0) c.payer = address(uint160(c.payer) ^ change);
        if (word == 1) c.payee = address(uint160(c.payee) ^ change);
        if (word == 2) c.base ^= change;
        if (word == 3) c.amount ^= change;
        if (word == 4) c.batch.number ^= change;
        if (word == 5) c.batch.count ^= change;
        if (word == 6) c.batch.price ^= change;
        if (word == 7) c.batch.locksRoot ^= bytes32(uint256(change));
        if (word == 8) c.receiptsRoot ^= bytes32(uint256(change));
        if (word == 9) c.openedAt ^= change;
        if (word == 10) c.openBlock ^= change;
        if (word == 11) c.batch.value ^= change;
        return c;
    }

    function expectNoCase(IReceiptCourt.Case memory c) private {
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.NoCase.selector);
        vm.expectRevert(reason);
        court.record(c);
        vm.expectRevert(reason);
        court.answer(c, 0, 0, "");
        vm.expectRevert(reason);
        court.finish(c, "");
        vm.expectRevert(reason);
        court.expire(c);
    }

    // ---------------------------------------------------------------- help

    /// @dev Bob's case upon a voucher of Alice, for batch 5 with so many receipts.
    function given(uint256 count) private returns (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) {
        return given(count, NUMBER);
    }

    /// @dev The same for another batch: one is judged once.
    function given(uint256 count, uint32 number)
        private
        returns (IReceiptCourt.Case memory c, Receipts memory r, Trees memory t)
    {
        r = receiptsOf(count, 1);
        t = treesOf(r);
        c = file(r, t, number);
    }

    function file(Receipts memory r, Trees memory t) private returns (IReceiptCourt.Case memory) {
        return file(r, t, NUMBER);
    }

    function file(Receipts memory r, Trees memory t, uint32 number) private returns (IReceiptCourt.Case memory) {
        (IReceiptCourt.Batch memory batch, bytes32 root, uint64 amount) = batchOf(t, number, uint32(r.locks.length));
        IReceiptCourt.Base memory base = IReceiptCourt.Base(BASE, NUMBER - 1, voucher(KEY, bob, BASE, NUMBER - 1));
        return openCase(KEY, bob, base, batch, root, amount);
    }

    function expectJudged(uint96 total) private {
        vm.expectEmit(address(court));
        emit IReceiptCourt.Judged(alice, bob, NUMBER, total);
    }

    function expectBond(IReceiptCourt.Case memory c, address to) private {
        vm.expectEmit(address(channels));
        emit IChannels.Moved(address(court), to, bondOf(c.amount, c.batch.price));
    }

    /// @dev A case that ended leaves nothing that could be used again.
    function checkOver(IReceiptCourt.Case memory c) private {
        (bytes32 caseHash, bytes32 seed) = court.openCase(alice, bob);
        vm.assertEq(caseHash, bytes32(0));
        vm.assertEq(seed, bytes32(0));
        vm.assertEq(channels.balanceOf(address(court)), 0);
        expectNoCase(c);
    }

    function checkJudgement(uint96 total, uint32 number) private view {
        IReceiptCourt.Judgement memory j = court.judgement(alice, bob);
        vm.assertEq(j.total, total);
        vm.assertEq(j.number, number);
        vm.assertEq(j.judgedAt, block.timestamp);
    }
}
