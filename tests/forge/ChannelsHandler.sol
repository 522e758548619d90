// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {Token} from "../../contracts/Token.sol";
import {Tools} from "./Tools.sol";
import {vm} from "./Vm.sol";

/// @dev Three accounts that pay each other, sign whatever they like, and submit any voucher at any time. Every action is made
/// possible before it is taken, so none reverts; I1 to I3 are read off this contract's own books.
contract ChannelsHandler is Tools {
    struct Voucher {
        uint256 payer;
        uint256 payee;
        uint96 cumulative;
        uint32 batch;
    }

    uint256 public constant ACCOUNTS = 3;
    uint96 private constant MOST = 1e24; // small enough for the test's accounts to add up, for hours
    address[ACCOUNTS] public accounts;
    Voucher[] private _vouchers;

    /// @dev Highest voucher, all that was paid, and the right to be paid in all, by payer and payee.
    mapping(uint256 payer => mapping(uint256 payee => uint96)) public highest;
    mapping(uint256 payer => mapping(uint256 payee => uint256)) public received;
    bool public fellWithoutClose;

    constructor(Channels channels_, Token token_) {
        (channels, token) = (channels_, token_);
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            accounts[i] = vm.addr(i + 1);
            vm.prank(accounts[i]);
            token.approve(address(channels), type(uint256).max);
        }
    }

    /// @dev I2 and I3: whatever the action, `claimed` never falls, and only closing lowers what a payee can still get.
    modifier watched(bool closes, uint256 payer, uint256 payee) {
        uint256[] memory before = rights();
        _;
        uint256[] memory later = rights();
        for (uint256 i = 0; i < before.length; ++i) {
            bool closing = closes && i / 2 == _index(payer) * ACCOUNTS + _index(payee) && i % 2 == 1;
            if (later[i] < before[i] && !closing) fellWithoutClose = true;
        }
    }

    /// @dev By channel: what was claimed, and that with what the highest voucher would pay now.
    function rights() public view returns (uint256[] memory all) {
        all = new uint256[](2 * ACCOUNTS * ACCOUNTS);
        for (uint256 i = 0; i < ACCOUNTS * ACCOUNTS; ++i) {
            (uint256 payer, uint256 payee) = (i / ACCOUNTS, i % ACCOUNTS);
            (, uint96 claimed,) = channels.channel(accounts[payer], accounts[payee]);
            all[2 * i] = claimed;
            all[2 * i + 1] = claimed + claimable(accounts[payer], accounts[payee], highest[payer][payee]);
        }
    }

    function deposit(uint256 who, uint96 amount) external watched(false, 0, 0) {
        vm.prank(_account(who));
        channels.deposit(uint96(bound(amount, 0, MOST)));
    }

    function withdraw(uint256 who, uint256 to, uint96 amount) external watched(false, 0, 0) {
        uint96 available = _available(who, amount);
        vm.prank(_account(who));
        channels.withdraw(_account(to), available);
    }

    function move(uint256 who, uint256 to, uint96 amount) external watched(false, 0, 0) {
        uint96 available = _available(who, amount);
        vm.prank(_account(who));
        channels.move(_account(to), available);
    }

    function fund(uint256 payer, uint256 payee, uint96 amount) external watched(false, 0, 0) {
        uint96 available = _available(payer, amount);
        vm.prank(_account(payer));
        channels.fund(_account(payee), available);
    }

    /// @dev Any total: lower than before, and far above the deposit, too.
    function sign(uint256 payer, uint256 payee, uint96 cumulative, uint32 batch) external watched(false, 0, 0) {
        if (batch % 4 != 0) cumulative = uint96(bound(cumulative, 0, MOST));
        (payer, payee) = (_index(payer), _index(payee));
        _vouchers.push(Voucher(payer, payee, cumulative, batch));
        if (cumulative > highest[payer][payee]) highest[payer][payee] = cumulative;
    }

    /// @dev Any voucher ever signed, by anyone, in any order.
    function claim(uint256 index, uint256 submitter) external watched(false, 0, 0) {
        if (_vouchers.length == 0) return;
        Voucher memory v = _vouchers[index % _vouchers.length];
        bytes memory signed = voucher(v.payer + 1, accounts[v.payee], v.cumulative, v.batch);
        vm.prank(_account(submitter));
        uint96 paid = channels.claim(accounts[v.payer], accounts[v.payee], v.cumulative, v.batch, signed);
        received[v.payer][v.payee] += paid;
    }

    function requestClose(uint256 payer, uint256 payee) external watched(false, 0, 0) {
        (uint96 deposited, uint96 claimed, uint40 closesAt) = channels.channel(_account(payer), _account(payee));
        if (closesAt != 0 || deposited == claimed) return;
        vm.prank(_account(payer));
        channels.requestClose(_account(payee));
    }

    function finishClose(uint256 payer, uint256 payee) external watched(true, payer, payee) {
        (,, uint40 closesAt) = channels.channel(_account(payer), _account(payee));
        if (closesAt == 0) return;
        if (block.timestamp < closesAt) vm.warp(closesAt);
        vm.prank(_account(payer));
        channels.finishClose(_account(payee));
    }

    function release(uint256 payer, uint256 payee) external watched(true, payer, payee) {
        vm.prank(_account(payee));
        channels.release(_account(payer));
    }

    function _available(uint256 who, uint96 amount) private view returns (uint96) {
        return uint96(bound(amount, 0, channels.balanceOf(_account(who))));
    }

    function _index(uint256 seed) private pure returns (uint256) {
        return seed % ACCOUNTS;
    }

    function _account(uint256 seed) private view returns (address) {
        return accounts[_index(seed)];
    }
}
