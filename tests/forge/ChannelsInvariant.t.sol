// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ChannelsHandler} from "./ChannelsHandler.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev I1, I2 and I3 of the design, after every call of a random run.
contract ChannelsInvariantTest is Fixture {
    ChannelsHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new ChannelsHandler(channels, token);
        for (uint256 i = 0; i < handler.ACCOUNTS(); ++i) {
            token.transfer(handler.accounts(i), 1e40);
        }
    }

    /// @dev Read by forge: only the handler is called.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_I1_booksEqualTokens() public view {
        uint256 sum = 0;
        for (uint256 i = 0; i < handler.ACCOUNTS(); ++i) {
            sum += channels.balanceOf(handler.accounts(i));
            for (uint256 j = 0; j < handler.ACCOUNTS(); ++j) {
                (uint96 deposited, uint96 claimed,) = channels.channel(handler.accounts(i), handler.accounts(j));
                sum += deposited - claimed;
            }
        }
        vm.assertEq(sum, token.balanceOf(address(channels)));
    }

    function invariant_I2_I3_paidOnceWithinDepositAndVoucher() public view {
        for (uint256 i = 0; i < handler.ACCOUNTS(); ++i) {
            for (uint256 j = 0; j < handler.ACCOUNTS(); ++j) {
                (uint96 deposited, uint96 claimed,) = channels.channel(handler.accounts(i), handler.accounts(j));
                vm.assertLe(claimed, deposited);
                vm.assertLe(claimed, handler.highest(i, j));
                vm.assertEq(claimed, handler.received(i, j));
            }
        }
        vm.assertFalse(handler.fellWithoutClose());
    }
}
