// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";
import {World} from "./world/World.sol";

/// @dev I1 to I6 of the design, after every call of a random run.
contract WorldInvariantTest is Fixture {
    World private world;

    function setUp() public override {
        super.setUp();
        token.approve(vm.computeCreateAddress(address(this), vm.getNonce(address(this))), 1e60);
        world = new World(token, network, registry, channels, court, pool);
    }

    /// @dev Read by forge: only the world is called.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function invariant_I1_to_I6() public view {
        _channelsAddUp();
        _stakesAddUp();
        _budgetsAddUp();
        _claimsAreRights();
        _closesComeInTime();
        _nothingBroke();
    }

    /// @dev I1. Balances, what is in channels, and bonds, which are the court's balance, are the tokens of Channels.
    function _channelsAddUp() private view {
        uint256 sum = 0;
        address[] memory all = world.holders();
        for (uint256 i = 0; i < all.length; ++i) {
            sum += channels.balanceOf(all[i]);
        }
        uint256 peers = world.PEERS();
        for (uint256 i = 0; i < peers * peers; ++i) {
            (uint96 deposited, uint96 claimed,) =
                channels.channel(world.peer(1 + i / peers), world.peer(1 + i % peers));
            sum += deposited - claimed;
        }
        vm.assertEq(sum, token.balanceOf(address(channels)));
        vm.assertEq(channels.balanceOf(address(court)), world.bonds());
    }

    /// @dev I1. What is left of the stakes, and what is burnt, are the tokens of the registry.
    function _stakesAddUp() private view {
        uint256 sum = registry.burnt();
        for (uint32 id = 1; id <= world.relays(); ++id) {
            sum += registry.stakeLeft(id);
        }
        vm.assertEq(sum, token.balanceOf(address(registry)));
    }

    /// @dev I1 and I5. Budgets are the pool's balance, and what campaigns got and did not give.
    function _budgetsAddUp() private view {
        uint256 sum = 0;
        for (uint32 id = 1; id <= world.CAMPAIGNS(); ++id) {
            uint96 budget = pool.campaign(id).budget;
            sum += budget;
            vm.assertEq(budget + world.spent(id), world.funded(id));
        }
        vm.assertEq(sum, channels.balanceOf(address(pool)));
    }

    /// @dev I2 and I3. Never more than the deposit, and never more than the largest total ever signed or judged.
    function _claimsAreRights() private view {
        uint256 peers = world.PEERS();
        for (uint256 i = 1; i <= peers; ++i) {
            for (uint256 j = 1; j <= peers; ++j) {
                (uint96 deposited, uint96 claimed,) = channels.channel(world.peer(i), world.peer(j));
                vm.assertLe(claimed, deposited);
                vm.assertLe(claimed, world.right(i, j));
            }
        }
    }

    /// @dev I4. No close is put off longer than the length of one case.
    function _closesComeInTime() private view {
        uint256 peers = world.PEERS();
        for (uint256 i = 1; i <= peers; ++i) {
            for (uint256 j = 1; j <= peers; ++j) {
                (,, uint40 closesAt) = channels.channel(world.peer(i), world.peer(j));
                uint256 latest = world.closeAskedAt(i, j) == 0
                    ? 0
                    : uint256(world.closeAskedAt(i, j)) + NOTICE + ANSWER_WINDOW + FINISH_WINDOW;
                vm.assertLe(closesAt, latest);
            }
        }
    }

    /// @dev I2, I3, I5 and I6 as the actions saw them.
    function _nothingBroke() private view {
        vm.assertEq(keccak256(bytes(world.broken())), keccak256(""));
    }
}
