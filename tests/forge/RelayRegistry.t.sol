// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {Network} from "../../contracts/Network.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {Token} from "../../contracts/Token.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

contract RelayRegistryTest is Fixture {
    address private owner = address(0x0123);

    function setUp() public override {
        super.setUp();
        give(owner, address(registry), 1000 * uint256(STAKE));
    }

    // ---------------------------------------------------------------- deployment

    function test_constructor_setsParameters() public view {
        vm.assertEq(address(registry.TOKEN()), address(token));
        vm.assertEq(registry.STAKE(), STAKE);
        vm.assertEq(registry.UNBONDING(), UNBONDING);
        vm.assertEq(registry.PENALTY(), PENALTY);
        vm.assertEq(address(registry.CHANNELS()), address(channels));
        vm.assertEq(registry.COURT(), address(court));
        vm.assertEq(registry.BOUNTY_PERCENT(), 5);
        bytes32 typehash = keccak256("OperatorConsent(address operator,address owner)");
        bytes32 message = keccak256(abi.encode(typehash, owner, governor));
        bytes32 domain = registry.DOMAIN_SEPARATOR();
        vm.assertEq(
            keccak256(abi.encodePacked("\x19\x01", domain, message)),
            digest("Mixpay RelayRegistry", address(registry), message)
        );
    }

    function test_constructor_failsIfParametersAreInvalid() public {
        address judge = registry.COURT();
        expectInvalid();
        this.make(token, 0, UNBONDING, judge, 0);
        expectInvalid();
        this.make(token, STAKE, 0, judge, PENALTY);
        expectInvalid();
        this.make(token, STAKE, 365 days + 1, judge, PENALTY);
        expectInvalid();
        this.make(token, STAKE, UNBONDING, address(0), PENALTY);
        expectInvalid();
        this.make(token, STAKE, UNBONDING, judge, STAKE);
        expectInvalid();
        this.make(token, STAKE, UNBONDING, judge, STAKE + 1);
        for (uint256 i = 0; i < 8; ++i) {
            Token other = new Token(1); // at addresses on both sides
            expectInvalid();
            this.make(other, STAKE, UNBONDING, judge, PENALTY);
        }
        this.make(token, STAKE, 365 days, judge, STAKE - 1);
        this.make(token, 1, 1, judge, 0);
    }

    /// @dev A call of its own: a cheatcode that deploys, as mutation testing has it, would end a test that expects its failure.
    function make(Token token_, uint96 stake, uint40 unbonding, address judge, uint96 penalty) external {
        new RelayRegistry(token_, network, stake, unbonding, channels, judge, penalty);
    }

    function expectInvalid() private {
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidParameters.selector));
    }

    function test_constructor_failsBeforeGenesis() public {
        address judge = registry.COURT();
        uint64 now_ = uint64(block.timestamp);
        Network later = new Network(now_ + 1, EPOCH, governor);
        vm.expectRevert(abi.encodeWithSelector(INetwork.BeforeGenesis.selector, now_, now_ + 1));
        new RelayRegistry(token, later, STAKE, UNBONDING, channels, judge, PENALTY);
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
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Registered(1, 0, anyOwner, operator, linkKey, endpoint);
        vm.prank(anyOwner);
        vm.assertEq(registry.register(operator, linkKey, endpoint, signed), 1);

        IRelayRegistry.Relay memory r = registry.relay(1);
        vm.assertEq(r.owner, anyOwner);
        vm.assertEq(r.operator, operator);
        vm.assertEq(r.leaf, leafOf(1, operator, linkKey, endpoint));
        vm.assertEq(r.position, 0);
        vm.assertEq(r.withdrawableAt, 0);
        vm.assertEq(registry.relayOf(operator), 1);
        vm.assertEq(registry.count(), 1);
        vm.assertEq(registry.root(), r.leaf);
        vm.assertEq(registry.stakeLeft(1), STAKE);
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

    function testFuzz_update(bool byOwner, bytes32 linkKey, bytes memory text) public {
        vm.assume(linkKey != 0 && text.length != 0);
        string memory endpoint = shortened(text);
        join(owner, 1);
        uint32 id = join(owner, 2);
        bytes32 sibling = registry.relay(1).leaf;
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Updated(id, linkKey, endpoint);
        vm.prank(byOwner ? owner : vm.addr(2));
        registry.update(id, linkKey, endpoint);
        bytes32 leaf = leafOf(id, vm.addr(2), linkKey, endpoint);
        vm.assertEq(registry.relay(id).leaf, leaf);
        vm.assertEq(registry.relay(1).leaf, sibling);
        vm.assertEq(registry.root(), keccak256(abi.encodePacked(sibling, leaf)));
    }

    function test_update_failsForOthers() public {
        uint32 id = join(owner, 1);
        give(governor, address(registry), STAKE);
        join(governor, 2);
        vm.prank(governor); // owns another relay
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwnerOrOperator.selector));
        registry.update(id, bytes32("d"), "host:4");
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwnerOrOperator.selector));
        registry.update(id + 2, bytes32("d"), "host:4");
    }

    function test_update_failsIfContactIsBad() public {
        uint32 id = join(owner, 1);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidEndpoint.selector, 0));
        registry.update(id, bytes32("link"), "");
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidEndpoint.selector, 129));
        registry.update(id, bytes32("link"), string(new bytes(129)));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.InvalidLinkKey.selector));
        registry.update(id, 0, "host:2");
        registry.update(id, bytes32("link"), string(new bytes(128)));
    }

    function test_relay_isEmptyWhereThereIsNone() public {
        join(owner, 1);
        IRelayRegistry.Relay memory r = registry.relay(2);
        vm.assertEq(r.owner, address(0));
        vm.assertEq(r.operator, address(0));
        vm.assertEq(r.leaf, bytes32(0));
        vm.assertEq(registry.stakeLeft(2), 0);
        vm.assertEq(registry.relayOf(owner), 0);
    }

    function test_ownership_isOfferedAndAccepted() public {
        uint32 id = join(owner, 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwner.selector));
        registry.transferOwnership(id, governor);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.OwnershipTransferStarted(id, owner, governor);
        vm.prank(owner);
        registry.transferOwnership(id, governor);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotPendingOwner.selector));
        registry.acceptOwnership(id);
        vm.expectEmit(address(registry));
        emit IRelayRegistry.OwnershipTransferred(id, owner, governor);
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

    function test_ownership_offerIsTakenBack() public {
        uint32 id = join(owner, 1);
        vm.startPrank(owner);
        registry.transferOwnership(id, governor);
        registry.transferOwnership(id, address(0));
        vm.stopPrank();
        vm.prank(governor);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotPendingOwner.selector));
        registry.acceptOwnership(id);
        vm.assertEq(registry.relay(id).owner, owner);
    }

    function testFuzz_leave(uint40 wait, address to) public {
        assumeAccount(to);
        vm.assume(to != owner);
        wait = uint40(bound(wait, 0, 2 * UNBONDING));
        uint32 id = join(owner, 1);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasNotLeft.selector));
        registry.withdrawStake(id, to);
        uint40 due = uint40(block.timestamp) + UNBONDING;
        vm.expectEmit(address(registry));
        emit IRelayRegistry.Left(id, 0, due);
        registry.leave(id);
        vm.assertEq(registry.relay(id).leaf, bytes32(0));
        vm.assertEq(registry.relay(id).withdrawableAt, due);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasLeft.selector));
        registry.leave(id);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayHasLeft.selector));
        registry.update(id, bytes32("b"), "host:2");
        vm.warp(block.timestamp + wait);
        if (wait < UNBONDING) {
            vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.StakeBound.selector, due));
            registry.withdrawStake(id, to);
            return;
        }
        registry.transferOwnership(id, governor); // an offer that must not outlive the stake
        vm.expectEmit(address(registry));
        emit IRelayRegistry.StakeWithdrawn(id, to, STAKE);
        registry.withdrawStake(id, to);
        vm.assertEq(registry.stakeLeft(id), 0);
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
}
