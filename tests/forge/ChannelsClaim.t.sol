// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {Vm, vm} from "./Vm.sol";

/// @dev What payees are paid: by vouchers, by many at once, by judgements.
contract ChannelsClaimTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);

    // ---------------------------------------------------------------- claim

    /// @dev Two vouchers in this order, whatever they say: paid is the high-water mark within the deposit.
    function testFuzz_claim(uint256 key, address payee, uint96 deposit, uint96 a, uint96 b, uint32 batch) public {
        key = keyFrom(key);
        address payer = vm.addr(key);
        vm.assume(payee != address(0) && payee != payer);
        open(payer, payee, deposit);
        uint96 paidA = claimAndCheck(key, payee, a, batch, a < deposit ? a : deposit);
        uint96 highest = a > b ? a : b;
        uint96 total = highest < deposit ? highest : deposit;
        claimAndCheck(key, payee, b, batch, total - paidA);
        vm.assertEq(channels.balanceOf(payee), total);
        (uint96 deposited, uint96 claimed,) = channels.channel(payer, payee);
        vm.assertEq(claimed, total);
        vm.assertEq(deposited, deposit);
    }

    function claimAndCheck(uint256 key, address payee, uint96 cumulative, uint32 batch, uint96 expected)
        private
        returns (uint96 paid)
    {
        address payer = vm.addr(key);
        bytes memory signed = voucher(key, payee, cumulative, batch);
        (, uint96 before,) = channels.channel(payer, payee);
        vm.recordLogs();
        paid = channels.claim(payer, payee, cumulative, batch, signed);
        vm.assertEq(paid, expected);
        checkLogged(payer, payee, paid, before + paid);
    }

    /// @dev One event when something was paid, none when nothing was.
    function checkLogged(address payer, address payee, uint96 paid, uint96 claimed) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, paid == 0 ? 0 : 1);
        if (paid == 0) return;
        vm.assertEq(logs[0].emitter, address(channels));
        vm.assertEq(logs[0].topics[0], IChannels.Claimed.selector);
        vm.assertEq(logs[0].topics[1], bytes32(uint256(uint160(payer))));
        vm.assertEq(logs[0].topics[2], bytes32(uint256(uint160(payee))));
        vm.assertEq(keccak256(logs[0].data), keccak256(abi.encode(paid, claimed)));
    }

    /// @dev What the deposit lacks stays claimable with the same voucher after a top-up.
    function testFuzz_claim_paysShortfallAfterTopUp(uint96 deposit, uint96 topUp, uint96 cumulative) public {
        topUp = uint96(bound(topUp, 0, type(uint96).max - deposit));
        open(alice, bob, deposit);
        bytes memory signed = voucher(KEY, bob, cumulative, 7);
        uint96 first = channels.claim(alice, bob, cumulative, 7, signed);
        open(alice, bob, topUp);
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
        vm.assume(other != bob && other != alice);
        open(alice, bob, type(uint96).max);
        bytes memory signed = voucher(KEY, bob, cumulative, batch);
        expectRefused(alice, other, cumulative, batch, signed);
        expectRefused(other, bob, cumulative, batch, signed);
        expectRefused(bob, alice, cumulative, batch, signed);
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

    // ---------------------------------------------------------------- claimMany

    /// @dev As if each voucher had been claimed alone, in this order: payers come more than once, deposits lack something.
    function testFuzz_claimMany(uint96[3] memory deposits, uint96[8] memory totals, uint256 order) public {
        for (uint256 i = 0; i < deposits.length; ++i) {
            open(vm.addr(i + 1), bob, deposits[i]);
        }
        bytes memory records = "";
        uint256 number = order % (totals.length + 1);
        for (uint256 i = 0; i < number; ++i) {
            uint256 key = (order >> (8 * (i + 1))) % 3 + 1;
            records = abi.encodePacked(records, packed(key, bob, totals[i], uint32(i)));
        }
        uint256 before = channels.balanceOf(bob);
        uint256 paid = channels.claimMany(bob, records);

        uint256 expected = 0;
        for (uint256 payer = 0; payer < 3; ++payer) {
            uint96 highest = 0;
            for (uint256 i = 0; i < number; ++i) {
                if ((order >> (8 * (i + 1))) % 3 == payer && totals[i] > highest) highest = totals[i];
            }
            if (highest > deposits[payer]) highest = deposits[payer];
            (, uint96 claimed,) = channels.channel(vm.addr(payer + 1), bob);
            vm.assertEq(claimed, highest);
            expected += highest;
        }
        vm.assertEq(paid, expected);
        vm.assertEq(channels.balanceOf(bob) - before, expected);
    }

    function test_claimMany_saysWhatEachPayerPaid() public {
        open(vm.addr(1), bob, 50);
        open(vm.addr(2), bob, 70);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(vm.addr(1), bob, 30, 30);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(vm.addr(2), bob, 70, 70);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(vm.addr(1), bob, 10, 40);
        bytes memory records = abi.encodePacked(packed(1, bob, 30, 1), packed(2, bob, 99, 9), packed(1, bob, 40, 2));
        vm.assertEq(channels.claimMany(bob, records), 110);
        vm.assertEq(channels.claimMany(bob, records), 0);
    }

    function testFuzz_claimMany_failsIfLengthIsWrong(uint256 length) public {
        length = bound(length, 1, 999);
        vm.assume(length % 100 != 0);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidLength.selector, length));
        channels.claimMany(bob, new bytes(length));
    }

    /// @dev All or nothing: one record of many with one byte changed, wherever it stands.
    function testFuzz_claimMany_failsIfOneRecordIsBad(uint256 place, uint256 at, uint8 flip) public {
        vm.assume(flip != 0);
        bytes memory records = "";
        for (uint256 i = 1; i <= 5; ++i) {
            open(vm.addr(i), bob, 100);
            records = abi.encodePacked(records, packed(i, bob, 60, 1));
        }
        at = (place % 5) * 100 + at % 100;
        records[at] = bytes1(uint8(records[at]) ^ flip);
        vm.expectRevert(abi.encodeWithSelector(IChannels.InvalidSignature.selector));
        channels.claimMany(bob, records);
        vm.assertEq(channels.balanceOf(bob), 0);
    }

    /// @dev A voucher for another payee, of another contract or chain, or of nobody.
    function test_claimMany_failsIfAnythingElseWasSigned() public {
        open(alice, bob, 100);
        bytes memory record = packed(KEY, address(0xB0B2), 60, 1);
        bytes memory good = packed(KEY, bob, 60, 1);
        bytes memory reason = abi.encodeWithSelector(IChannels.InvalidSignature.selector);
        vm.expectRevert(reason);
        channels.claimMany(bob, record);
        vm.expectRevert(reason);
        channels.claimMany(bob, new bytes(100));
        vm.chainId(block.chainid + 1);
        vm.expectRevert(reason);
        channels.claimMany(bob, good);
        vm.chainId(block.chainid - 1);
        channels = new Channels(token, NOTICE, court);
        vm.expectRevert(reason);
        channels.claimMany(bob, good);
    }

    /// @dev A voucher in the form of EIP-2098.
    function packed(uint256 key, address payee, uint96 cumulative, uint32 uptoBatch)
        private
        view
        returns (bytes memory)
    {
        bytes memory signed = voucher(key, payee, cumulative, uptoBatch);
        (bytes32 r, bytes32 s) = abi.decode(abi.encodePacked(signed, bytes31(0)), (bytes32, bytes32));
        uint256 vs = uint256(s) | uint256(uint8(signed[64]) - 27) << 255;
        return abi.encodePacked(vm.addr(key), cumulative, uptoBatch, r, vs);
    }

    // ---------------------------------------------------------------- claimJudgement

    /// @dev Vouchers and judgements are totals of one series: in either order, paid is the highest within the deposit.
    function testFuzz_claimJudgement(uint96 deposit, uint96 judged, uint96 signed, bool voucherFirst) public {
        judged = uint96(bound(judged, 1, type(uint96).max - COURT_COST));
        open(alice, bob, deposit);
        judge(KEY, bob, judged, 3);
        uint256 bond = channels.balanceOf(bob);
        uint96 byJudgement = judged < deposit ? judged : deposit;
        uint96 byVoucher = signed < deposit ? signed : deposit;
        uint96 both = byJudgement > byVoucher ? byJudgement : byVoucher;
        if (voucherFirst) {
            claimAndCheck(KEY, bob, signed, 9, byVoucher);
            claimJudgementAndCheck(both - byVoucher);
        } else {
            claimJudgementAndCheck(byJudgement);
            claimAndCheck(KEY, bob, signed, 9, both - byJudgement);
        }
        claimJudgementAndCheck(0);
        vm.assertEq(channels.balanceOf(bob) - bond, both);
    }

    function claimJudgementAndCheck(uint96 expected) private {
        (, uint96 before,) = channels.channel(alice, bob);
        vm.recordLogs();
        vm.prank(address(0xBAD)); // anyone: the money is the payee's
        vm.assertEq(channels.claimJudgement(alice, bob), expected);
        checkLogged(alice, bob, expected, before + expected);
    }

    function testFuzz_claimJudgement_paysTheRestAfterATopUp(uint96 deposit, uint96 judged) public {
        judged = uint96(bound(judged, 1, type(uint96).max - COURT_COST));
        deposit = uint96(bound(deposit, 0, judged));
        open(alice, bob, deposit);
        judge(KEY, bob, judged, 1);
        claimJudgementAndCheck(deposit);
        open(alice, bob, judged - deposit);
        claimJudgementAndCheck(judged - deposit);
    }

    function testFuzz_claimJudgement_paysNothingWithoutJudgement(uint96 deposit) public {
        open(alice, bob, deposit);
        judge(KEY, address(0xB0B2), 5, 1); // of another channel
        claimJudgementAndCheck(0);
    }
}
