// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {Network} from "../../contracts/Network.sol";
import {ReceiptCourt} from "../../contracts/ReceiptCourt.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {Token} from "../../contracts/Token.sol";
import {Tools} from "./Tools.sol";
import {vm} from "./Vm.sol";

/// @dev All contracts, deployed in epoch 0.
abstract contract Fixture is Tools {
    function setUp() public virtual {
        vm.warp(GENESIS + 100);
        vm.prevrandao(bytes32(uint256(1)));
        token = new Token(type(uint256).max);
        network = new Network(GENESIS, EPOCH, governor);
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 2);
        channels = new Channels(token, NOTICE, IReceiptCourt(predicted));
        registry = new RelayRegistry(token, network, STAKE, UNBONDING, channels, predicted, PENALTY);
        court = new ReceiptCourt(
            channels, registry, IReceiptCourt.Parameters(ANSWER_WINDOW, FINISH_WINDOW, GRACE, COURT_COST)
        );
        pool = new SubsidyPool(channels, registry, network, TERM, CLAIM_WINDOW, WITHDRAWAL_NOTICE);
        vm.prank(governor);
        network.publish(INetwork.Release(address(registry), address(channels), address(pool), 1, HOP_PRICE, 0));
    }
}
