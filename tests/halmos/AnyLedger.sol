// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Stands where a contract expects Channels or the token, lets everything happen and keeps what it was asked
/// for: so that a check sees what a contract asks of the ledger, whatever the ledger does.
contract AnyLedger {
    IERC20 public immutable TOKEN = IERC20(address(this));
    uint40 public constant NOTICE = type(uint40).max / 4;

    uint96 private _deposited;
    address public movedTo;
    uint96 public moved;
    address public bondFrom;
    uint96 public bond;

    constructor(uint96 deposited) {
        _deposited = deposited;
    }

    /// @dev Whoever asks is the court.
    function COURT() external view returns (address) {
        return msg.sender;
    }

    function CHANNELS() external view returns (address) {
        return address(this);
    }

    function UNBONDING() external pure returns (uint40) {
        return type(uint40).max;
    }

    function DOMAIN_SEPARATOR() external pure returns (bytes32) {
        return bytes32(uint256(1));
    }

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function move(address to, uint96 amount) external {
        (movedTo, moved) = (to, amount);
    }

    function takeBond(address from, uint96 amount) external {
        (bondFrom, bond) = (from, amount);
    }

    function depositFor(address account, uint96 amount) external {
        (movedTo, moved) = (account, amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        // forge-lint: disable-next-line(unsafe-typecast)
        (movedTo, moved) = (to, uint96(amount)); // who calls has stakes of 96 bits
        return true;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return true;
    }

    function deposit(uint96) external {}

    function allowance(address, address) external pure returns (uint256) {
        return 0;
    }

    function hold(address, address, uint40) external {}

    function markJudged(address, address) external {}

    function channel(address, address) external view returns (uint96, uint96, uint40) {
        return (_deposited, 0, 0);
    }
}
