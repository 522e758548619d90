// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Taking tokens in without mis-counting them
/// @notice Money counted on arrival must have arrived: a token that takes a fee on transfer is refused.
/// @dev Only the way in is checked. On the way out nothing may stand between an owner and its money: should a token begin
/// to take a fee later, the receiver bears it.
library ExactTransfer {
    using SafeERC20 for IERC20;

    /// @notice Thrown when another amount arrived than was sent.
    /// @param expected What was to arrive
    /// @param balanceBefore This contract's tokens before the transfer
    /// @param balanceAfter This contract's tokens after it
    error InexactTransfer(uint256 expected, uint256 balanceBefore, uint256 balanceAfter);

    /// @dev Takes exactly `amount` from the caller, who has approved it. Callers record the amount before: a token that
    /// calls back then finds the books complete, and everything is undone when the amount does not arrive.
    function pull(IERC20 token, uint256 amount) internal {
        uint256 balanceBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balanceAfter = token.balanceOf(address(this));
        if (balanceAfter != balanceBefore + amount) revert InexactTransfer(amount, balanceBefore, balanceAfter);
    }
}
