// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev Opening a case: what a claim has to build on.
contract ReceiptCourtTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    bytes32 private constant ROOT = bytes32("receipts");
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);
    IReceiptCourt.Base private nothing;

    function setUp() public override {
        super.setUp();
        credit(bob, type(uint96).max);
    }

    // ---------------------------------------------------------------- what is opened

    function testFuzz_open(IReceiptCourt.Batch memory batch, bytes32 root, uint64 amount, uint32 time) public {
        batch = valid(batch);
        batch.number = 1;
        amount = uint64(bound(amount, 1, (type(uint96).max - COURT_COST) / batch.price));
        batch.value = uint64(bound(batch.value, amount, type(uint64).max));
        vm.warp(block.timestamp + time);
        vm.roll(block.number + time);
        IReceiptCourt.Case memory c = caseOf(alice, bob, 0, batch, root, amount);
        uint96 bond = bondOf(amount, batch.price);
        bytes memory signed = batchSignature(KEY, bob, batch);

        vm.expectEmit(address(court));
        emit IReceiptCourt.CaseOpened(alice, bob, c);
        vm.expectEmit(address(channels));
        emit IChannels.Moved(bob, address(court), bond);
        vm.prank(bob);
        court.open(alice, nothing, batch, signed, root, amount);

        checkStored(keccak256(abi.encode(c)), bob);
        checkStored(0, alice);
        vm.assertEq(channels.balanceOf(bob), type(uint96).max - bond);
        vm.assertEq(channels.balanceOf(address(court)), bond);
    }

    function checkStored(bytes32 hash, address payee) private view {
        (bytes32 caseHash, bytes32 seed) = court.openCase(alice, payee);
        vm.assertEq(caseHash, hash);
        vm.assertEq(seed, bytes32(0));
    }

    /// @dev On what the payer signed for any batch before, whatever the number. Those between are not paid.
    function testFuzz_open_uponAVoucher(uint96 total, uint32 uptoBatch, uint32 number) public {
        total = uint96(bound(total, 0, type(uint96).max - COURT_COST - 1));
        number = uint32(bound(number, 1, type(uint32).max));
        uptoBatch = uint32(bound(uptoBatch, 0, number - 1));
        IReceiptCourt.Batch memory batch = batchOf(number);
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total, uptoBatch, voucher(KEY, bob, total, uptoBatch));
        expectOpened(base, batch);
        file(base, batch, 1);
    }

    function testFuzz_open_uponAJudgement(uint96 total, uint32 judged, uint32 number) public {
        total = uint96(bound(total, 1, type(uint96).max - COURT_COST - 1));
        judged = uint32(bound(judged, 1, type(uint32).max - 1));
        number = uint32(bound(number, judged + 1, type(uint32).max));
        judge(KEY, bob, total, judged);
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total, judged, "");
        expectOpened(base, batchOf(number));
        file(base, batchOf(number), 1);
    }

    /// @dev Where nothing was settled, any batch builds on nothing: also when the one before held no receipt.
    function testFuzz_open_uponNothing(uint32 number) public {
        IReceiptCourt.Batch memory batch = batchOf(uint32(bound(number, 1, type(uint32).max)));
        expectOpened(nothing, batch);
        file(nothing, batch, 1);
    }

    /// @dev Also where something is judged: who builds on less claims less.
    function testFuzz_open_uponNothing_whereSomethingIsJudged(uint32 number) public {
        judge(KEY, bob, 1000, 3);
        IReceiptCourt.Batch memory batch = batchOf(uint32(bound(number, 4, type(uint32).max)));
        expectOpened(nothing, batch);
        file(nothing, batch, 1);
    }

    /// @dev One case for each payer and payee at a time, and one is not in another's way.
    function test_open_failsIfOneIsOpen() public {
        IReceiptCourt.Batch memory batch = batchOf(1);
        file(nothing, batch, 1);
        expectRefused(nothing, batch, abi.encodeWithSelector(IReceiptCourt.CaseOpen.selector));
        openCase(KEY, address(0xB0B2), nothing, batch, ROOT, 1);
        openCase(0xA11CE2, bob, nothing, batch, ROOT, 1);
    }

    // ---------------------------------------------------------------- what is refused

    function test_open_failsIfNothingIsClaimed() public {
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.NothingClaimed.selector);
        IReceiptCourt.Batch memory batch = batchOf(1);
        batch.count = 0;
        expectRefused(nothing, batch, reason);
        batch = batchOf(1);
        batch.price = 0;
        expectRefused(nothing, batch, reason);
        bytes memory signed = batchSignature(KEY, bob, batchOf(1));
        vm.expectRevert(reason);
        vm.prank(bob);
        court.open(alice, nothing, batchOf(1), signed, ROOT, 0);
        // Also where a base stands behind it that was not paid.
        IReceiptCourt.Base memory base = IReceiptCourt.Base(9, 4, voucher(KEY, bob, 9, 4));
        signed = batchSignature(KEY, bob, batchOf(5));
        vm.expectRevert(reason);
        vm.prank(bob);
        court.open(alice, base, batchOf(5), signed, ROOT, 0);
        batch = batchOf(5);
        batch.price = 0;
        expectRefused(base, batch, reason);
    }

    /// @dev What the payee has been paid is no case: the payer, too, can see to that, by claiming for it what it has signed.
    function testFuzz_open_failsIfAllIsPaid(uint96 total, uint96 paid, uint64 amount) public {
        amount = uint64(bound(amount, 1, type(uint64).max));
        total = uint96(bound(total, 0, type(uint96).max - COURT_COST - 5 * uint256(amount)));
        open(alice, bob, paid);
        channels.claim(alice, bob, paid, 9, voucher(KEY, bob, paid, 9));
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total, 3, voucher(KEY, bob, total, 3));
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.NothingClaimed.selector);
        if (total + 5 * uint256(amount) <= paid) expectRefused(base, batchOf(4), amount, reason);
        else file(base, batchOf(4), amount);
    }

    /// @dev Of the tickets that the payer signed for no more can be claimed than they are worth: so a payer that is there can
    /// always sign for what is claimed.
    function testFuzz_open_failsIfTheBatchIsWorthLess(uint64 value, uint64 amount) public {
        value = uint64(bound(value, 0, type(uint64).max - 1));
        amount = uint64(bound(amount, value + 1, type(uint64).max));
        IReceiptCourt.Batch memory batch = batchOf(1);
        batch.value = value;
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.ExceedsBatch.selector, value);
        expectRefused(nothing, batch, amount, reason);
        expectRefused(nothing, batch, value + 1, reason);
        if (value != 0) file(nothing, batch, value);
    }

    /// @dev A batch is judged once, whatever it was judged for: what a seed has shown is not drawn again.
    function testFuzz_open_failsIfTheBatchIsJudged(uint32 judged, uint32 number, uint96 total) public {
        judged = uint32(bound(judged, 1, type(uint32).max - 1));
        number = uint32(bound(number, 1, judged));
        total = uint96(bound(total, 1, type(uint96).max / 2));
        judge(KEY, bob, total, judged);
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.AlreadyJudged.selector, judged);
        bytes memory signed = voucher(KEY, bob, total, number - 1);
        expectRefused(IReceiptCourt.Base(total, number - 1, signed), batchOf(number), reason);
        expectRefused(IReceiptCourt.Base(total, number - 1, ""), batchOf(number), reason);
        expectRefused(nothing, batchOf(judged), reason);
        file(IReceiptCourt.Base(total, judged, ""), batchOf(judged + 1), 1);
        openCase(0xA11CE2, bob, nothing, batchOf(number), ROOT, 1);
    }

    /// @dev A base that covers the batch, signed or judged, would have its receipts paid twice. Batch 0 has nothing before it.
    function testFuzz_open_failsIfBaseCoversTheBatch(uint96 total, uint32 uptoBatch, uint32 number) public {
        uptoBatch = uint32(bound(uptoBatch, 1, type(uint32).max - 1));
        number = uint32(bound(number, 0, uptoBatch));
        total = uint96(bound(total, 1, type(uint96).max / 2));
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InvalidBase.selector);
        expectRefused(nothing, batchOf(0), reason);
        bytes memory signed = voucher(KEY, bob, total, uptoBatch);
        expectRefused(IReceiptCourt.Base(total, uptoBatch, signed), batchOf(number), reason);
        judge(KEY, bob, total, uptoBatch);
        expectRefused(IReceiptCourt.Base(total, uptoBatch, ""), batchOf(number), reason);
    }

    /// @dev Nothing signed, nothing judged: no total, and no batch.
    function testFuzz_open_failsIfBaseIsFromNothing(uint96 total, uint32 uptoBatch) public {
        uptoBatch = uint32(bound(uptoBatch, 0, 99));
        vm.assume(total != 0 || uptoBatch != 0);
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InvalidBase.selector);
        expectRefused(IReceiptCourt.Base(total, uptoBatch, ""), batchOf(100), reason);
    }

    /// @dev Only this channel's judgement, in its full amount, and up to its batch.
    function testFuzz_open_failsIfJudgementIsAnother(uint32 number, uint32 other, uint96 total) public {
        number = uint32(bound(number, 1, type(uint32).max - 1));
        other = uint32(bound(other, 0, type(uint32).max - 1));
        judge(KEY, bob, 1000, number);
        judge(KEY, address(0xB0B2), 500, number);
        judge(0xA11CE2, bob, 500, number);
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InvalidBase.selector);
        IReceiptCourt.Batch memory last = batchOf(type(uint32).max);
        if (other != number) expectRefused(IReceiptCourt.Base(1000, other, ""), last, reason);
        if (total != 1000) expectRefused(IReceiptCourt.Base(total, number, ""), last, reason);
        expectRefused(IReceiptCourt.Base(500, number, ""), last, reason);
    }

    /// @dev A voucher for another batch, total or payee, by another key, of another contract.
    function testFuzz_open_failsIfBaseVoucherIsAnother(uint96 total, uint32 upto, uint256 key) public {
        total = uint96(bound(total, 0, type(uint96).max / 2));
        vm.assume(upto != 4);
        key = keyFrom(key);
        vm.assume(key != KEY);
        expectUnsigned(total, voucher(KEY, bob, total, upto));
        expectUnsigned(total, voucher(KEY, bob, total + 1, 4));
        expectUnsigned(total, voucher(KEY, address(0xB0B2), total, 4));
        expectUnsigned(total, voucher(key, bob, total, 4));
        expectUnsigned(total, new bytes(65));
        expectUnsigned(total, new bytes(1));
        bytes memory good = voucher(KEY, bob, total, 4);
        good[64] = bytes1(uint8(good[64]) ^ 7); // the other of 27 and 28
        expectUnsigned(total, good);
    }

    function expectUnsigned(uint96 total, bytes memory signed) private {
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InvalidSignature.selector);
        expectRefused(IReceiptCourt.Base(total, 4, signed), batchOf(5), reason);
    }

    /// @dev The batch is the payer's, in every field, for this payee, under this contract and chain.
    function testFuzz_open_failsIfBatchWasNotSigned(uint256 key, uint8 field, uint32 change) public {
        key = keyFrom(key);
        vm.assume(key != KEY && change != 0);
        IReceiptCourt.Batch memory batch = batchOf(1);
        bytes memory reason = abi.encodeWithSelector(IReceiptCourt.InvalidSignature.selector);
        bytes memory signed = batchSignature(key, bob, batch);
        expectRefusedWith(batch, signed, reason);
        expectRefusedWith(batch, batchSignature(KEY, address(0xB0B2), batch), reason);
        expectRefusedWith(batch, voucher(KEY, bob, 1, 1), reason);
        signed = batchSignature(KEY, bob, batch);
        expectRefusedWith(changed(batch, field % 4, change), signed, reason);
        vm.chainId(block.chainid + 1);
        expectRefusedWith(batch, signed, reason);
    }

    function changed(IReceiptCourt.Batch memory batch, uint8 field, uint32 change)
        private
        pure
        returns (IReceiptCourt.Batch memory)
    {
        uint32 count = batch.count ^ (field == 0 ? change : 0);
        uint64 value = batch.value ^ (field == 3 ? change : 0);
        uint96 price = batch.price ^ (field == 1 ? change : 0);
        bytes32 root = batch.locksRoot ^ bytes32(uint256(field == 2 ? change : 0));
        return IReceiptCourt.Batch(batch.number, count == 0 ? 1 : count, value, price == 0 ? 1 : price, root);
    }

    /// @dev What could not be paid is not judged: base, amount and costs fit a total, or there is no case.
    function testFuzz_open_failsIfTotalIsTooLarge(uint96 total, uint96 price, uint64 amount) public {
        price = uint96(bound(price, 1, type(uint96).max));
        amount = uint64(bound(amount, 1, type(uint64).max));
        IReceiptCourt.Batch memory batch = batchOf(7);
        batch.price = price;
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total, 6, voucher(KEY, bob, total, 6));
        bool fits = uint256(total) + uint256(amount) * price + COURT_COST <= type(uint96).max;
        bytes memory signed = batchSignature(KEY, bob, batch);
        if (!fits) vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.TotalTooLarge.selector));
        vm.prank(bob);
        court.open(alice, base, batch, signed, ROOT, amount);
    }

    function test_open_theLargestTotal() public {
        IReceiptCourt.Batch memory batch = batchOf(7);
        batch.price = 1;
        uint96 most = type(uint96).max - COURT_COST - 9;
        IReceiptCourt.Base memory base = IReceiptCourt.Base(most + 1, 6, voucher(KEY, bob, most + 1, 6));
        expectRefused(base, batch, 9, abi.encodeWithSelector(IReceiptCourt.TotalTooLarge.selector));
        file(IReceiptCourt.Base(most, 6, voucher(KEY, bob, most, 6)), batch, 9);
    }

    function testFuzz_open_failsWithoutTheBond(uint64 amount, uint96 balance) public {
        amount = uint64(bound(amount, 1, (type(uint96).max - COURT_COST) / HOP_PRICE));
        address poor = address(0xB0B3);
        uint96 bond = bondOf(amount, HOP_PRICE);
        balance = uint96(bound(balance, 0, bond - 1));
        credit(poor, balance);
        IReceiptCourt.Batch memory batch = batchOf(1);
        batch.price = HOP_PRICE;
        bytes memory signed = batchSignature(KEY, poor, batch);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InsufficientBalance.selector, balance, bond));
        vm.prank(poor);
        court.open(alice, nothing, batch, signed, ROOT, amount);
        checkStored(0, poor);
    }

    function test_open_failsIfAllIsPaid_toTheUnit() public {
        open(alice, bob, 15);
        channels.claim(alice, bob, 15, 1, voucher(KEY, bob, 15, 1));
        expectRefused(nothing, batchOf(1), 3, abi.encodeWithSelector(IReceiptCourt.NothingClaimed.selector));
        file(nothing, batchOf(1), 4);
    }

    // ---------------------------------------------------------------- hold

    /// @dev A close that would end before the case is put off until then; one that ends later is left alone.
    function testFuzz_open_holdsAClosingChannel(uint40 wait) public {
        wait = uint40(bound(wait, 0, NOTICE - 1));
        open(alice, bob, 10);
        vm.prank(alice);
        channels.requestClose(bob);
        (,, uint40 closesAt) = channels.channel(alice, bob);
        vm.warp(block.timestamp + wait);
        uint40 until = uint40(block.timestamp) + ANSWER_WINDOW + FINISH_WINDOW;
        bytes memory signed = batchSignature(KEY, bob, batchOf(1));
        if (until > closesAt) {
            vm.expectEmit(address(channels));
            emit IChannels.Held(alice, bob, until);
        }
        vm.prank(bob);
        court.open(alice, nothing, batchOf(1), signed, ROOT, 1);
        (,, uint40 due) = channels.channel(alice, bob);
        vm.assertEq(due, until > closesAt ? until : closesAt);
    }

    // ---------------------------------------------------------------- help

    function valid(IReceiptCourt.Batch memory batch) private pure returns (IReceiptCourt.Batch memory) {
        batch.count = uint32(bound(batch.count, 1, type(uint32).max));
        batch.price = uint96(bound(batch.price, 1, type(uint96).max - COURT_COST));
        return batch;
    }

    /// @dev A batch of 3 tickets at price 5, of any value.
    function batchOf(uint32 number) private pure returns (IReceiptCourt.Batch memory) {
        return IReceiptCourt.Batch(number, 3, type(uint64).max, 5, bytes32("locks"));
    }

    function file(IReceiptCourt.Base memory base, IReceiptCourt.Batch memory batch, uint64 amount) private {
        bytes memory signed = batchSignature(KEY, bob, batch);
        vm.prank(bob);
        court.open(alice, base, batch, signed, ROOT, amount);
    }

    function expectOpened(IReceiptCourt.Base memory base, IReceiptCourt.Batch memory batch) private {
        vm.expectEmit(address(court));
        emit IReceiptCourt.CaseOpened(alice, bob, caseOf(alice, bob, base.total, batch, ROOT, 1));
    }

    function expectRefused(IReceiptCourt.Base memory base, IReceiptCourt.Batch memory batch, bytes memory reason)
        private
    {
        expectRefused(base, batch, 1, reason);
    }

    function expectRefused(
        IReceiptCourt.Base memory base,
        IReceiptCourt.Batch memory batch,
        uint64 amount,
        bytes memory reason
    ) private {
        bytes memory signed = batchSignature(KEY, bob, batch);
        vm.expectRevert(reason);
        vm.prank(bob);
        court.open(alice, base, batch, signed, ROOT, amount);
    }

    function expectRefusedWith(IReceiptCourt.Batch memory batch, bytes memory signed, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(bob);
        court.open(alice, nothing, batch, signed, ROOT, 1);
    }
}
