// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {INetwork} from "../../contracts/interfaces/INetwork.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev What the contracts have from OpenZeppelin and show to everybody.
contract InheritedTest is Fixture {
    address private alice = address(0xA11CE);
    address private bob = address(0xB0B);

    // ---------------------------------------------------------------- Ownable2Step: Network

    function test_ownership_isAcceptedByWhomItIsOfferedTo() public {
        bytes memory stranger = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob);
        vm.prank(governor);
        network.transferOwnership(alice);
        vm.assertEq(network.owner(), governor);
        vm.assertEq(network.pendingOwner(), alice);
        vm.prank(bob);
        vm.expectRevert(stranger);
        network.acceptOwnership();
        vm.prank(alice);
        network.acceptOwnership();
        vm.assertEq(network.owner(), alice);
        vm.assertEq(network.pendingOwner(), address(0));
        vm.prank(bob);
        vm.expectRevert(stranger);
        network.transferOwnership(bob);
    }

    function test_renounceOwnership_endsReleases() public {
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        network.renounceOwnership();
        vm.startPrank(governor);
        network.renounceOwnership();
        vm.assertEq(network.owner(), address(0));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, governor));
        network.publish(INetwork.Release(address(registry), address(channels), address(pool), 1, HOP_PRICE, 9));
        vm.assertEq(network.releaseCount(), 1);
    }

    // ---------------------------------------------------------------- EIP712: whoever is signed for

    function test_eip712Domain_isWhatIsSignedIn() public view {
        checkDomain(channels, "Mixpay Channels");
        checkDomain(registry, "Mixpay RelayRegistry");
        checkDomain(pool, "Mixpay SubsidyPool");
        vm.assertEq(channels.DOMAIN_SEPARATOR(), domain("Mixpay Channels", address(channels)));
        vm.assertEq(registry.DOMAIN_SEPARATOR(), domain("Mixpay RelayRegistry", address(registry)));
    }

    function checkDomain(EIP712 verifier, string memory expected) private view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address at, bytes32 salt,) =
            verifier.eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(bytes1(0x0f)));
        vm.assertEq(keccak256(bytes(name)), keccak256(bytes(expected)));
        vm.assertEq(keccak256(bytes(version)), keccak256("1"));
        vm.assertEq(chain, block.chainid);
        vm.assertEq(at, address(verifier));
        vm.assertEq(salt, bytes32(0));
    }
}
