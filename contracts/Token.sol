// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Mixpay Token
/// @notice A plain ERC-20 with permit, for local chains and tests. Nothing else depends on it: any plain ERC-20 will do.
contract Token is ERC20Permit {
    /// @param supply What the deployer gets, in the smallest unit (18 decimals)
    constructor(uint256 supply) ERC20("Mixpay Token", "MIX") ERC20Permit("Mixpay Token") {
        _mint(msg.sender, supply);
    }
}
