// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {ExactTransfer} from "./lib/ExactTransfer.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title Channels
/// @notice See IChannels.
contract Channels is IChannels, EIP712 {
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    /// @dev One storage slot. Amounts are all-time totals; claimed <= deposit, always.
    struct Channel {
        uint96 deposit;
        uint96 claimed;
        uint40 closesAt;
    }

    bytes32 private constant _VOUCHER_TYPEHASH =
        keccak256("Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)");

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc IChannels
    IERC20 public immutable TOKEN;
    /// @inheritdoc IChannels
    uint40 public immutable NOTICE;

    // ---------------------------------------------------------------- storage

    /// @inheritdoc IChannels
    mapping(address account => uint256 balance) public balanceOf;

    mapping(address payer => mapping(address payee => Channel)) private _channels;

    // ---------------------------------------------------------------- ledger

    /// @param token A plain ERC-20
    /// @param notice Seconds between a close request and its end
    constructor(IERC20 token, uint40 notice) EIP712("Mixpay Channels", "1") {
        TOKEN = token;
        NOTICE = notice;
    }

    /// @inheritdoc IChannels
    function deposit(uint96 amount) external {
        balanceOf[msg.sender] += amount;

        emit Deposited(msg.sender, amount);

        TOKEN.pull(amount);
    }

    /// @inheritdoc IChannels
    function withdraw(address to, uint96 amount) external {
        if (to == address(0) || to == address(this)) revert InvalidRecipient();
        _debit(amount);

        emit Withdrawn(msg.sender, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IChannels
    function move(address to, uint96 amount) external {
        if (to == address(0)) revert InvalidRecipient();
        _debit(amount);
        balanceOf[to] += amount;

        emit Moved(msg.sender, to, amount);
    }

    // ---------------------------------------------------------------- channels

    /// @inheritdoc IChannels
    function fund(address payee, uint96 amount) external {
        if (payee == address(0)) revert InvalidRecipient();
        _debit(amount);
        Channel storage c = _channels[msg.sender][payee];
        uint96 total = c.deposit + amount;
        c.deposit = total;
        c.closesAt = 0;

        emit Funded(msg.sender, payee, amount, total);
    }

    /// @inheritdoc IChannels
    function claim(address payer, address payee, uint96 cumulative, uint32 uptoBatch, bytes calldata signature)
        external
        returns (uint96 paid)
    {
        bytes32 voucher = keccak256(abi.encode(_VOUCHER_TYPEHASH, payer, payee, cumulative, uptoBatch));
        if (!Signatures.isBy(_hashTypedDataV4(voucher), payer, signature)) revert InvalidSignature();

        Channel storage c = _channels[payer][payee];
        (uint96 total, uint96 claimed) = (c.deposit, c.claimed);
        if (cumulative < total) total = cumulative;
        if (total <= claimed) return 0;

        paid = total - claimed;
        c.claimed = total;
        balanceOf[payee] += paid;

        emit Claimed(payer, payee, paid, total);
    }

    /// @inheritdoc IChannels
    function requestClose(address payee) external {
        Channel storage c = _channels[msg.sender][payee];
        if (c.closesAt != 0) revert CloseAlreadyRequested(c.closesAt);
        if (c.deposit == c.claimed) revert ChannelEmpty();
        uint40 closesAt = uint40(block.timestamp) + NOTICE;
        c.closesAt = closesAt;

        emit CloseRequested(msg.sender, payee, closesAt);
    }

    /// @inheritdoc IChannels
    function finishClose(address payee) external {
        uint40 closesAt = _channels[msg.sender][payee].closesAt;
        // slither-disable-next-line incorrect-equality (zero says "none"; nobody can make it miss)
        if (closesAt == 0) revert CloseNotRequested();
        if (block.timestamp < closesAt) revert NoticeRunning(closesAt);

        emit Closed(msg.sender, payee, _refund(msg.sender, payee));
    }

    /// @inheritdoc IChannels
    function release(address payer) external {
        emit Released(payer, msg.sender, _refund(payer, msg.sender));
    }

    /// @inheritdoc IChannels
    function channel(address payer, address payee)
        external
        view
        returns (uint96 deposited, uint96 claimed, uint40 closesAt)
    {
        Channel storage c = _channels[payer][payee];
        return (c.deposit, c.claimed, c.closesAt);
    }

    // ---------------------------------------------------------------- internal

    /// @dev Takes an amount out of the caller's balance.
    function _debit(uint96 amount) private {
        uint256 balance = balanceOf[msg.sender];
        if (balance < amount) revert InsufficientBalance(balance, amount);
        unchecked {
            balanceOf[msg.sender] = balance - amount;
        }
    }

    /// @dev Credits the payer with what is not claimed, and ends a pending close.
    function _refund(address payer, address payee) private returns (uint96 refund) {
        Channel storage c = _channels[payer][payee];
        refund = c.deposit - c.claimed;
        c.deposit = c.claimed;
        c.closesAt = 0;
        balanceOf[payer] += refund;
    }
}
