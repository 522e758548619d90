// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRelayRegistry} from "../../../contracts/interfaces/IRelayRegistry.sol";
import {vm} from "../Vm.sol";
import {Books} from "./Books.sol";

/// @dev Relays come, change, leave, sign two keys, and take their stakes back.
abstract contract RelayLife is Books {
    /// @dev Operator keys of the relays after the peers'.
    uint256 private constant _FIRST_KEY = 1_000;

    uint256 public relays; // ids given so far, the peers' among them
    mapping(uint256 id => uint256 operatorKey) internal operatorOf;
    mapping(uint256 id => bool) internal condemned;
    mapping(uint256 id => bool) internal settled;

    function register(uint256 linkKey) public {
        uint256 key = _FIRST_KEY + relays;
        give(owner, address(registry), STAKE);
        bytes memory signed = consent(key, owner);
        vm.prank(owner);
        uint32 id = registry.register(vm.addr(key), bytes32(linkKey | 1), "host:1", signed);
        operatorOf[id] = key;
        relays = id;
    }

    function update(uint256 seed, uint256 linkKey) external {
        (uint32 id,) = _living(seed, 1);
        vm.prank(seed % 2 == 0 ? owner : vm.addr(operatorOf[id]));
        registry.update(id, bytes32(linkKey | 1), "host:2");
    }

    /// @dev Peers leave too, and stay liable.
    function leave(uint256 seed) external {
        (uint32 id,) = _living(seed, seed % 8 == 0 ? 1 : PEERS + 1);
        vm.prank(owner);
        registry.leave(id);
    }

    function withdrawStake(uint256 seed) external {
        for (uint256 i = 0; i < relays - PEERS; ++i) {
            uint32 id = uint32(PEERS + 1 + (seed % relays + i) % (relays - PEERS));
            IRelayRegistry.Relay memory r = registry.relay(id);
            if (r.owner == address(0) || r.withdrawableAt == 0) continue;
            notBefore(r.withdrawableAt);
            uint256 before = token.balanceOf(sponsor);
            vm.prank(owner);
            registry.withdrawStake(id, sponsor);
            uint256 got = token.balanceOf(sponsor) - before;
            if (got != (condemned[id] ? STAKE - PENALTY : STAKE)) broken = "a stake paid something else";
            return;
        }
        vm.assume(false);
    }

    /// @dev Anyone shows two keys. Peers too: their judgements come on top.
    function proveEquivocation(uint256 seed, uint32 epoch) external {
        _condemn(seed, epoch);
    }

    /// @dev The first relay that is condemned and not settled, from a place on, or one condemned now.
    function settlePenalty(uint256 seed) external {
        for (uint256 i = 0; i < relays; ++i) {
            uint32 id = uint32(1 + (seed % relays + i) % relays);
            if (condemned[id] && !settled[id]) return _settle(id);
        }
        _settle(_condemn(seed, uint32(seed)));
    }

    function _condemn(uint256 seed, uint32 epoch) private returns (uint32 id) {
        (id,) = _living(seed, seed % 8 == 1 ? 1 : PEERS + 1);
        bytes32[2] memory keys = [bytes32(seed), bytes32(~seed)];
        bytes memory first = descriptor(operatorOf[id], id, epoch, keys[0]);
        bytes memory second = descriptor(operatorOf[id], id, epoch, keys[1]);
        vm.prank(peer(keyOf(seed)));
        court.proveEquivocation(id, epoch, keys, first, second);
        condemned[id] = true;
    }

    function _settle(uint32 id) private {
        registry.settlePenalty(id);
        settled[id] = true;
    }

    /// @dev A living relay with an id from `first` on, registered now where there is none.
    function _living(uint256 seed, uint256 first) private returns (uint32 id, bool found) {
        for (uint256 i = 0; i + first <= relays; ++i) {
            id = uint32(first + (seed % relays + i) % (relays - first + 1));
            if (registry.relay(id).withdrawableAt == 0) return (id, true);
        }
        register(seed);
        return (uint32(relays), true);
    }
}
