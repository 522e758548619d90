// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev A sponsor, the signer of its campaigns, and relays that claim.
abstract contract PoolStage is Fixture {
    uint256 internal constant SIGNER_KEY = 0x516;
    address internal signer = vm.addr(SIGNER_KEY);
    address internal sponsor = address(0x5901);

    /// @dev A campaign with a budget.
    function found(uint96 periodCap, uint96 relayCap, uint96 budget) internal returns (uint32 id) {
        vm.prank(sponsor);
        id = pool.createCampaign(signer, periodCap, relayCap);
        give(sponsor, address(pool), budget);
        vm.prank(sponsor);
        pool.fund(id, budget);
    }

    /// @dev The relay claims what the signer vouches for.
    function claim(uint32 campaign, address relay, uint32 period, uint96 total) internal returns (uint96) {
        return claim(SIGNER_KEY, campaign, relay, period, total);
    }

    function claim(uint256 key, uint32 campaign, address relay, uint32 period, uint96 total)
        internal
        returns (uint96)
    {
        return submit(relay, campaign, period, total, poolVoucher(key, campaign, relay, period, total));
    }

    function submit(address by, uint32 campaign, uint32 period, uint96 total, bytes memory signed)
        internal
        returns (uint96)
    {
        (bytes32 r, bytes32 vs) = compact(signed);
        vm.prank(by);
        return pool.claim(campaign, period, total, r, vs);
    }
}
