// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {vm} from "../Vm.sol";
import {Books} from "./Books.sol";

/// @dev Peers move money, pay each other, sign whatever they like, and submit any voucher at any time, in any order.
abstract contract Ledger is Books {
    struct Voucher {
        uint256 payer;
        uint256 payee;
        uint96 cumulative;
        uint32 batch;
    }

    Voucher[] private _vouchers;

    function deposit(uint256 who, uint256 to, uint96 amount) external watched(false, 0, 0) {
        address account = peer(keyOf(who));
        amount = uint96(bound(amount, 0, MOST));
        give(account, address(channels), amount);
        vm.prank(account);
        if (to % 2 == 0) channels.deposit(amount);
        else channels.depositFor(peer(keyOf(to)), amount);
    }

    function withdraw(uint256 who, uint256 to, uint96 amount) external watched(false, 0, 0) {
        amount = _available(who, amount);
        vm.prank(peer(keyOf(who)));
        channels.withdraw(peer(keyOf(to)), amount);
    }

    function move(uint256 who, uint256 to, uint96 amount) external watched(false, 0, 0) {
        amount = _available(who, amount);
        vm.prank(peer(keyOf(who)));
        channels.move(peer(keyOf(to)), amount);
    }

    function fund(uint256 payerSeed, uint256 payeeSeed, uint96 amount) external watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        amount = uint96(bound(amount, 0, MOST));
        atLeast(payer, amount);
        vm.prank(peer(payer));
        channels.fund(peer(payee), amount);
        closeAskedAt[payer][payee] = 0;
    }

    function fundMany(uint256 payerSeed, uint256 payeeSeed, uint96 amount) external watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        (, uint256 other) = pairOf(payerSeed, payeeSeed >> 8);
        amount = uint96(bound(amount, 0, MOST / 2));
        atLeast(payer, 2 * amount);
        (address[] memory payees, uint96[] memory amounts) = (new address[](2), new uint96[](2));
        (payees[0], payees[1], amounts[0], amounts[1]) = (peer(payee), peer(other), amount, amount);
        vm.prank(peer(payer));
        channels.fundMany(payees, amounts);
        (closeAskedAt[payer][payee], closeAskedAt[payer][other]) = (0, 0);
    }

    /// @dev Any total: lower than before, and far above the deposit, too.
    function sign(uint256 payerSeed, uint256 payeeSeed, uint96 cumulative, uint32 batch) public watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        if (batch % 4 != 0) cumulative = uint96(bound(cumulative, 0, MOST));
        _vouchers.push(Voucher(payer, payee, cumulative, batch));
        note(payer, payee, cumulative);
    }

    /// @dev Any voucher ever signed, by anyone.
    function claim(uint256 index, uint256 submitter) external watched(false, 0, 0) {
        if (_vouchers.length == 0) sign(index, submitter, uint96(index), uint32(submitter));
        Voucher memory v = _vouchers[index % _vouchers.length];
        bytes memory signed = voucher(v.payer, peer(v.payee), v.cumulative, v.batch);
        uint256 before = channels.balanceOf(peer(v.payee));
        vm.prank(submitter % 2 == 0 ? mallory : peer(keyOf(submitter)));
        uint96 paid = channels.claim(peer(v.payer), peer(v.payee), v.cumulative, v.batch, signed);
        if (channels.balanceOf(peer(v.payee)) != before + paid) broken = "a claim paid something else";
    }

    /// @dev Two of the payee's vouchers, packed, perhaps the same one twice.
    function claimMany(uint256 index, uint256 other) external watched(false, 0, 0) {
        if (_vouchers.length == 0) sign(index, other, uint96(index), uint32(other));
        Voucher memory v = _vouchers[index % _vouchers.length];
        Voucher memory w = _vouchers[other % _vouchers.length];
        bytes memory records = w.payee == v.payee ? abi.encodePacked(_packed(v), _packed(w)) : _packed(v);
        vm.prank(mallory);
        channels.claimMany(peer(v.payee), records);
    }

    function requestClose(uint256 payerSeed, uint256 payeeSeed) external watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        _requestClose(payer, payee);
    }

    function _requestClose(uint256 payer, uint256 payee) private {
        (uint96 deposited, uint96 claimed, uint40 closesAt) = channels.channel(peer(payer), peer(payee));
        if (deposited == claimed) {
            atLeast(payer, 1);
            vm.prank(peer(payer));
            channels.fund(peer(payee), 1);
        } else {
            vm.assume(closesAt == 0);
        }
        vm.prank(peer(payer));
        channels.requestClose(peer(payee));
        closeAskedAt[payer][payee] = uint40(block.timestamp);
    }

    /// @dev The first close that is pending, from a place on, or one asked for now.
    function finishClose(uint256 seed) external {
        for (uint256 i = 0; i < PEERS * PEERS; ++i) {
            uint256 place = (seed % (PEERS * PEERS) + i) % (PEERS * PEERS);
            (uint256 payer, uint256 payee) = (1 + place / PEERS, 1 + place % PEERS);
            if (closeAskedAt[payer][payee] != 0) return _finishClose(payer, payee);
        }
        (uint256 first, uint256 second) = pairOf(seed, seed >> 8);
        _requestClose(first, second);
        _finishClose(first, second);
    }

    function _finishClose(uint256 payer, uint256 payee) private watched(true, payer, payee) {
        (,, uint40 closesAt) = channels.channel(peer(payer), peer(payee));
        notBefore(closesAt);
        vm.prank(peer(payer));
        channels.finishClose(peer(payee));
        closeAskedAt[payer][payee] = 0;
    }

    function release(uint256 payerSeed, uint256 payeeSeed) external {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        _release(payer, payee);
    }

    function _release(uint256 payer, uint256 payee) private watched(true, payer, payee) {
        vm.prank(peer(payee));
        channels.release(peer(payer));
        closeAskedAt[payer][payee] = 0;
    }

    function _packed(Voucher memory v) private view returns (bytes memory) {
        bytes memory signed = voucher(v.payer, peer(v.payee), v.cumulative, v.batch);
        (bytes32 r, bytes32 vs) = compact(signed);
        return abi.encodePacked(peer(v.payer), v.cumulative, v.batch, r, vs);
    }

    function _available(uint256 who, uint96 amount) private view returns (uint96) {
        return uint96(bound(amount, 0, channels.balanceOf(peer(keyOf(who)))));
    }
}
