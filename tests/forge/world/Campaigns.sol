// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ISubsidyPool} from "../../../contracts/interfaces/ISubsidyPool.sol";
import {vm} from "../Vm.sol";
import {Books} from "./Books.sol";

/// @dev A sponsor's campaigns: funded, claimed from in every order, withdrawn from, their signer changed.
abstract contract Campaigns is Books {
    uint256 public constant CAMPAIGNS = 2;
    uint96 public constant PERIOD_CAP = 5e20;
    uint96 public constant RELAY_CAP = 2e20;

    /// @dev What the campaign got and gave in all; and by period, and by relay and period.
    mapping(uint32 campaign => uint256) public funded;
    mapping(uint32 campaign => uint256) public spent;
    mapping(uint32 campaign => mapping(uint32 period => uint256)) public paidFor;
    mapping(uint32 campaign => mapping(uint256 relay => mapping(uint32 period => uint256))) public paidTo;
    mapping(uint32 campaign => mapping(uint256 relay => uint96)) private _signed;
    mapping(uint32 campaign => uint256 key) private _signerKey;
    uint256 public poolClaims;

    function _createCampaigns() internal {
        for (uint32 id = 1; id <= CAMPAIGNS; ++id) {
            _signerKey[id] = 0xC0DE + id;
            vm.prank(sponsor);
            pool.createCampaign(vm.addr(_signerKey[id]), PERIOD_CAP, RELAY_CAP);
        }
    }

    function fundCampaign(uint256 seed, uint96 amount) public {
        uint32 id = _campaign(seed);
        amount = uint96(bound(amount, 0, MOST));
        give(sponsor, address(pool), amount);
        vm.prank(sponsor);
        pool.fund(id, amount);
        funded[id] += amount;
    }

    /// @dev A voucher for the present period or the one before, for a larger or a smaller total than the last.
    function claimFromPool(uint256 seed, uint256 relay, uint96 more, bool earlier) external {
        uint32 id = _campaign(seed);
        uint256 key = keyOf(relay);
        uint32 period = network.currentEpoch();
        if (earlier && period != 0) --period;
        (uint96 claimed, uint32 latest,,) = pool.claimedBy(id, peer(key));
        vm.assume(period >= latest);
        uint96 cumulative = uint96(bound(more, 0, 2 * RELAY_CAP)) + (seed % 3 == 0 ? claimed / 2 : claimed);
        if (cumulative > _signed[id][key]) _signed[id][key] = cumulative;

        bytes memory signed = poolVoucher(_signerKey[id], id, peer(key), period, cumulative);
        (bytes32 r, bytes32 vs) = compact(signed);
        uint256 before = channels.balanceOf(peer(key));
        vm.prank(peer(key));
        uint96 paid = pool.claim(id, period, cumulative, r, vs);
        if (channels.balanceOf(peer(key)) != before + paid) broken = "a pool claim paid something else";
        if (claimed + paid > _signed[id][key]) broken = "a relay got more than was signed";
        paidFor[id][period] += paid;
        paidTo[id][key][period] += paid;
        spent[id] += paid;
        poolClaims += 1;
        // I5
        if (paidFor[id][period] > PERIOD_CAP || paidTo[id][key][period] > RELAY_CAP) broken = "a cap was passed";
    }

    function setKey(uint256 seed, uint32 ahead, bytes32 keyHash) external {
        uint32 id = _campaign(seed);
        uint32 period = network.currentEpoch() + 2 + ahead % 1_000_000;
        (bytes32 known,) = pool.key(id, 1, period);
        vm.assume(known == 0 && keyHash != 0);
        vm.prank(sponsor);
        pool.setKey(id, 1, period, keyHash);
    }

    function setSigner(uint256 seed, uint256 key) external {
        uint32 id = _campaign(seed);
        vm.warp(block.timestamp + CLAIM_WINDOW + 1); // the change before is over
        _signerKey[id] = keyFrom(key);
        vm.prank(sponsor);
        pool.setSigner(id, vm.addr(_signerKey[id]));
    }

    function requestWithdrawal(uint256 seed, uint96 amount) public {
        uint32 id = _campaign(seed);
        ISubsidyPool.Campaign memory c = pool.campaign(id);
        if (c.budget == 0) {
            fundCampaign(seed, 1e20);
            c = pool.campaign(id);
        }
        vm.prank(sponsor);
        pool.requestWithdrawal(id, uint96(bound(amount, 1, c.budget)));
    }

    function finishWithdrawal(uint256 seed) external {
        uint32 id = _campaign(seed);
        if (pool.campaign(id).withdrawableAt == 0) requestWithdrawal(seed, uint96(seed));
        notBefore(pool.campaign(id).withdrawableAt);
        uint256 before = token.balanceOf(sponsor);
        vm.prank(sponsor);
        pool.finishWithdrawal(id, sponsor);
        spent[id] += token.balanceOf(sponsor) - before;
    }

    function _campaign(uint256 seed) private pure returns (uint32) {
        return uint32(1 + seed % CAMPAIGNS);
    }
}
