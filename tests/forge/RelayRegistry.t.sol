// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

contract RelayRegistryTest is Fixture {
    address private owner = address(0x0123);

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 1000 * uint256(STAKE));
    }

    // ---------------------------------------------------------------- register

    function testFuzz_register(uint256 key, bytes32 linkKey, bytes memory text, address anyOwner) public {
        key = keyFrom(key);
        address operator = vm.addr(key);
        assumeAccount(anyOwner);
        vm.assume(linkKey != 0 && text.length != 0);
        string memory endpoint = shortened(text);
        give(anyOwner, address(registry), STAKE);
        bytes memory signed = consent(key, anyOwner);
        vm.prank(anyOwner);
        vm.assertEq(registry.register(operator, linkKey, endpoint, signed), 1);

        IRelayRegistry.Relay memory r = registry.relay(1);
        vm.assertEq(r.owner, anyOwner);
        vm.assertEq(r.operator, operator);
        vm.assertEq(r.linkKey, linkKey);
        vm.assertEq(r.endpointHash, keccak256(bytes(endpoint)));
        vm.assertEq(r.position, 0);
        vm.assertEq(r.withdrawableAt, 0);
        vm.assertEq(registry.relayOf(operator), 1);
        vm.assertEq(registry.count(), 1);
        vm.assertEq(registry.root(), keccak256(abi.encodePacked(uint32(1), operator, linkKey, r.endpointHash)));
        vm.assertEq(token.balanceOf(address(registry)), STAKE);
    }

    function shortened(bytes memory text) private pure returns (string memory) {
        if (text.length > 128) {
            assembly ("memory-safe") {
                mstore(text, 128)
            }
        }
        return string(text);
    }

    function test_register_failsIfKeyWasEverUsed() public {
        uint32 id = join(owner, 1);
        expectUsed(1, owner, id);
        expectUsed(1, address(this), id);
        vm.startPrank(owner);
        registry.leave(id);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdrawStake(id, owner);
        vm.stopPrank();
        expectUsed(1, owner, id);
    }

    function expectUsed(uint256 key, address by, uint32 id) private {
        bytes memory signed = consent(key, by);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.OperatorUsed.selector, vm.addr(key), id));
        vm.prank(by);
        registry.register(vm.addr(key), bytes32("link"), "host:1", signed);
    }

    /// @dev Nobody registers a key that is not its own, not even with the consent that was given to another owner.
    function test_register_failsWithoutConsent() public {
        bytes[3] memory bad = [consent(1, owner), consent(2, address(this)), bytes("")];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidSignature.selector));
            registry.register(vm.addr(1), bytes32("link"), "host:1", bad[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidSignature.selector));
        registry.register(address(0), bytes32("link"), "host:1", new bytes(65));
    }

    function test_register_failsIfContactIsBad() public {
        bytes memory long = new bytes(129);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidEndpoint.selector, 0));
        registry.register(vm.addr(1), bytes32("link"), "", "");
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidEndpoint.selector, 129));
        registry.register(vm.addr(1), bytes32("link"), string(long), "");
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidLinkKey.selector));
        registry.register(vm.addr(1), 0, "host:1", "");
    }

    function test_register_failsWithoutStake() public {
        bytes memory signed = consent(1, governor);
        vm.prank(governor);
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(registry), 0, STAKE
            )
        );
        registry.register(vm.addr(1), bytes32("link"), "host:1", signed);
        vm.assertEq(registry.count(), 0);
    }

    // ---------------------------------------------------------------- update, ownership, leave

    function test_update_byOwnerOrOperatorOnly() public {
        uint32 id = join(owner, 1);
        vm.prank(owner);
        registry.update(id, bytes32("b"), "host:2");
        vm.prank(vm.addr(1));
        registry.update(id, bytes32("c"), "host:3");
        vm.assertEq(registry.relay(id).linkKey, bytes32("c"));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwnerOrOperator.selector));
        registry.update(id, bytes32("d"), "host:4");
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwnerOrOperator.selector));
        registry.update(id + 1, bytes32("d"), "host:4");
    }

    function test_ownership_isOfferedAndAccepted() public {
        uint32 id = join(owner, 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwner.selector));
        registry.transferOwnership(id, governor);
        vm.prank(owner);
        registry.transferOwnership(id, governor);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotPendingOwner.selector));
        registry.acceptOwnership(id);
        vm.prank(governor);
        registry.acceptOwnership(id);
        vm.assertEq(registry.relay(id).owner, governor);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwner.selector));
        registry.leave(id);
        vm.prank(governor);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotPendingOwner.selector));
        registry.acceptOwnership(id);
    }

    function testFuzz_leave(uint40 wait, address to) public {
        assumeAccount(to);
        vm.assume(to != owner);
        wait = uint40(bound(wait, 0, 2 * UNBONDING));
        uint32 id = join(owner, 1);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasNotLeft.selector));
        registry.withdrawStake(id, to);
        registry.leave(id);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasLeft.selector));
        registry.leave(id);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasLeft.selector));
        registry.update(id, bytes32("b"), "host:2");
        uint40 due = uint40(block.timestamp) + UNBONDING;
        vm.warp(block.timestamp + wait);
        if (wait < UNBONDING) {
            vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.StakeBound.selector, due));
            registry.withdrawStake(id, to);
            return;
        }
        registry.transferOwnership(id, governor); // an offer that must not outlive the stake
        registry.withdrawStake(id, to);
        vm.assertEq(token.balanceOf(to), STAKE);
        vm.assertEq(token.balanceOf(address(registry)), 0);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwner.selector));
        registry.withdrawStake(id, to);
        vm.stopPrank();
        vm.prank(governor);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotPendingOwner.selector));
        registry.acceptOwnership(id);
    }

    function test_withdrawStake_failsIfRecipientIsNobody() public {
        uint32 id = join(owner, 1);
        vm.startPrank(owner);
        registry.leave(id);
        vm.warp(block.timestamp + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidRecipient.selector));
        registry.withdrawStake(id, address(0));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidRecipient.selector));
        registry.withdrawStake(id, address(registry));
    }

    // ---------------------------------------------------------------- freeze, beacon

    /// @dev What changes in an epoch is frozen from the first touch of the next epoch on, not before.
    function test_freeze_takesTheStateBeforeTheFirstTouch() public {
        uint32 a = join(owner, 1);
        checkFrozen(1, 0, 0);
        bytes32 rootOfOne = registry.root();
        goTo(1);
        vm.assertFalse(registry.isFrozen(2));
        join(owner, 2);
        checkFrozen(2, rootOfOne, 1);
        bytes32 rootOfTwo = registry.root();
        goTo(2);
        vm.prank(owner);
        registry.update(a, bytes32("b"), "host:2");
        checkFrozen(3, rootOfTwo, 2);
        goTo(3);
        bytes32 before = registry.root();
        vm.prank(owner);
        registry.leave(a);
        checkFrozen(4, before, 2);
        checkFrozen(2, rootOfOne, 1);
    }

    /// @dev Untouched epochs inherit what was fixed, not what changed since: that could follow the beacon.
    function test_frozen_ofUntouchedEpochs() public {
        (,, bytes32 first) = registry.frozen(0);
        registry.freeze();
        (,, bytes32 drawn) = registry.frozen(1);
        vm.assertEq(drawn, keccak256(abi.encodePacked(first, bytes32(uint256(1)))));
        join(owner, 1);
        goTo(40);
        checkFrozen(40, 0, 0);
        (,, bytes32 beacon) = registry.frozen(40);
        vm.assertEq(beacon, keccak256(abi.encodePacked(drawn, uint32(40))));
        vm.assertFalse(registry.isFrozen(41));
        vm.prevrandao(bytes32(uint256(99)));
        registry.freeze();
        checkFrozen(41, registry.root(), 1);
        (,, bytes32 next) = registry.frozen(41);
        vm.assertEq(next, keccak256(abi.encodePacked(beacon, bytes32(uint256(99)))));
        (,, bytes32 still) = registry.frozen(40);
        vm.assertEq(still, beacon);
        (,, bytes32 between) = registry.frozen(17);
        vm.assertEq(between, keccak256(abi.encodePacked(drawn, uint32(17))));
    }

    function test_freeze_onlyTheFirstTouchDraws() public {
        registry.freeze();
        (bytes32 root, uint32 count, bytes32 beacon) = registry.frozen(1);
        vm.prevrandao(bytes32(uint256(2)));
        join(owner, 1);
        registry.freeze();
        (bytes32 sameRoot, uint32 sameCount, bytes32 sameBeacon) = registry.frozen(1);
        vm.assertEq(root, sameRoot);
        vm.assertEq(count, sameCount);
        vm.assertEq(beacon, sameBeacon);
    }

    function test_frozen_failsIfNotFixedYet() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotFrozen.selector, 1));
        registry.frozen(1);
        goTo(1);
        vm.assertTrue(registry.isFrozen(1));
        registry.freeze();
        vm.assertTrue(registry.isFrozen(2));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotFrozen.selector, 3));
        registry.frozen(3);
    }

    function checkFrozen(uint32 epoch, bytes32 root, uint32 count) private view {
        vm.assertTrue(registry.isFrozen(epoch));
        (bytes32 frozenRoot, uint32 frozenCount, bytes32 beacon) = registry.frozen(epoch);
        vm.assertEq(frozenRoot, root);
        vm.assertEq(frozenCount, count);
        vm.assertTrue(beacon != 0);
    }
}
