// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../../contracts/Channels.sol";
import {Network} from "../../../contracts/Network.sol";
import {ReceiptCourt} from "../../../contracts/ReceiptCourt.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../../contracts/SubsidyPool.sol";
import {Token} from "../../../contracts/Token.sol";
import {vm} from "../Vm.sol";
import {Campaigns} from "./Campaigns.sol";
import {Ledger} from "./Ledger.sol";
import {RelayLife} from "./RelayLife.sol";
import {Trials} from "./Trials.sol";

/// @dev Everybody together, a thief among them, and time.
contract World is Ledger, Trials, RelayLife, Campaigns {
    /// @dev Takes what tokens the deployer allows it, for everybody to start with.
    constructor(
        Token token_,
        Network network_,
        RelayRegistry registry_,
        Channels channels_,
        ReceiptCourt court_,
        SubsidyPool pool_
    ) {
        (token, network, registry, channels, court, pool) = (token_, network_, registry_, channels_, court_, pool_);
        token.transferFrom(msg.sender, address(this), token.allowance(msg.sender, address(this)));
        for (uint256 key = 1; key <= PEERS; ++key) {
            give(owner, address(registry), STAKE);
            bytes memory signed = consent(key, owner);
            vm.prank(owner);
            operatorOf[registry.register(peer(key), bytes32(key), "host:1", signed)] = key;
        }
        relays = PEERS;
        _createCampaigns();
    }

    // ---------------------------------------------------------------- time

    function pass(uint256 time, uint256 blocks) external {
        vm.warp(block.timestamp + bound(time, 1, 2 days));
        vm.roll(block.number + bound(blocks, 1, 300));
        registry.freeze();
    }

    // ---------------------------------------------------------------- Mallory

    /// @dev I6: whatever a stranger calls, with arguments that fit the world, it gains nothing and nobody loses.
    function steal(uint256 target, uint256 a, uint256 b, uint96 amount) external watched(false, 0, 0) {
        (address contract_, bytes memory data) = _mischief(target % 16, peer(keyOf(a)), peer(keyOf(b)), amount);
        address[] memory all = holders();
        uint256[] memory before = new uint256[](all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            before[i] = worth(all[i]);
        }
        vm.prank(mallory);
        (bool done,) = contract_.call(data);
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i] != mallory && worth(all[i]) < before[i]) broken = "a stranger took something";
            if (all[i] == mallory && worth(all[i]) > before[i]) broken = "a stranger gained something";
        }
        thefts += done ? 1 : 0;
    }

    /// @dev Calls of a stranger that went through, to no avail.
    uint256 public thefts;

    function _mischief(uint256 kind, address x, address y, uint96 amount)
        private
        view
        returns (address target, bytes memory data)
    {
        bytes memory own = voucher(MALLORY_KEY, x, amount, 1);
        uint32 id = uint32(1 + amount % relays);
        if (kind == 0) return (address(channels), abi.encodeCall(channels.withdraw, (mallory, amount)));
        if (kind == 1) return (address(channels), abi.encodeCall(channels.move, (mallory, amount)));
        if (kind == 2) return (address(channels), abi.encodeCall(channels.claim, (x, mallory, amount, 1, own)));
        if (kind == 3) return (address(channels), abi.encodeCall(channels.claim, (x, y, amount, 1, own)));
        if (kind == 4) return (address(channels), abi.encodeCall(channels.takeBond, (x, amount)));
        if (kind == 5) return (address(channels), abi.encodeCall(channels.hold, (x, y, type(uint40).max)));
        if (kind == 6) return (address(channels), abi.encodeCall(channels.fundFromStake, (x, mallory, amount)));
        if (kind == 7) return (address(channels), abi.encodeCall(channels.finishClose, (x)));
        if (kind == 8) return (address(channels), abi.encodeCall(channels.release, (x)));
        if (kind == 9) return (address(registry), abi.encodeCall(registry.slash, (id, amount)));
        if (kind == 10) return (address(registry), abi.encodeCall(registry.condemn, (id, mallory)));
        if (kind == 11) return (address(registry), abi.encodeCall(registry.withdrawStake, (id, mallory)));
        if (kind == 12) return (address(registry), abi.encodeCall(registry.leave, (id)));
        if (kind == 13) return (address(pool), abi.encodeCall(pool.requestWithdrawal, (1, amount)));
        if (kind == 14) return (address(pool), abi.encodeCall(pool.finishWithdrawal, (1, mallory)));
        return (address(channels), abi.encodeCall(channels.claimJudgement, (x, mallory)));
    }
}
