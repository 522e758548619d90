// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {IReceiptCourt} from "./interfaces/IReceiptCourt.sol";
import {ExactTransfer} from "./lib/ExactTransfer.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title Channels
/// @notice See IChannels.
contract Channels is IChannels, EIP712 {
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    /// @dev One storage slot. Amounts are all-time totals; claimed <= deposit, always. `held` says that the court has put
    /// this close off already; `judged`, that it has ever judged here, so that closing asks it.
    struct Channel {
        uint96 deposit;
        uint96 claimed;
        uint40 closesAt;
        bool held;
        bool judged;
    }

    bytes32 private constant _VOUCHER_TYPEHASH =
        keccak256("Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)");

    /// @dev Bytes of one packed voucher.
    uint256 private constant _RECORD = 100;

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc IChannels
    IERC20 public immutable TOKEN;
    /// @inheritdoc IChannels
    uint40 public immutable NOTICE;
    /// @inheritdoc IChannels
    IReceiptCourt public immutable COURT;

    // ---------------------------------------------------------------- storage

    /// @inheritdoc IChannels
    mapping(address account => uint256 balance) public balanceOf;

    mapping(address payer => mapping(address payee => Channel)) private _channels;

    // ---------------------------------------------------------------- ledger

    /// @param token A plain ERC-20
    /// @param notice Seconds between a close request and its end
    /// @param court Where payees get judgements; deployed after this contract, and checks that it is named here
    constructor(IERC20 token, uint40 notice, IReceiptCourt court) EIP712("Mixpay Channels", "1") {
        TOKEN = token;
        NOTICE = notice;
        COURT = court;
    }

    /// @inheritdoc IChannels
    function deposit(uint96 amount) external {
        _deposit(msg.sender, amount);
    }

    /// @inheritdoc IChannels
    function depositFor(address account, uint96 amount) external {
        if (account == address(0)) revert InvalidRecipient();
        _deposit(account, amount);
    }

    /// @inheritdoc IChannels
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {} // Used up by somebody else, or wrong: the deposit finds out whether the approval is there.
        _deposit(msg.sender, amount);
    }

    /// @inheritdoc IChannels
    function withdraw(address to, uint96 amount) external {
        if (to == address(0) || to == address(this)) revert InvalidRecipient();
        _debit(msg.sender, amount);

        emit Withdrawn(msg.sender, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IChannels
    function move(address to, uint96 amount) external {
        if (to == address(0)) revert InvalidRecipient();
        _move(msg.sender, to, amount);
    }

    // ---------------------------------------------------------------- channels

    /// @inheritdoc IChannels
    function fund(address payee, uint96 amount) external {
        _debit(msg.sender, amount);
        _fund(payee, amount);
    }

    /// @inheritdoc IChannels
    function fundMany(address[] calldata payees, uint96[] calldata amounts) external {
        if (payees.length != amounts.length) revert LengthsDiffer();
        uint256 sum = 0;
        for (uint256 i = 0; i < payees.length; ++i) {
            sum += amounts[i];
            _fund(payees[i], amounts[i]);
        }
        _debit(msg.sender, sum);
    }

    /// @inheritdoc IChannels
    function claim(address payer, address payee, uint96 cumulative, uint32 uptoBatch, bytes calldata signature)
        external
        returns (uint96 paid)
    {
        bytes32 digest = _voucherDigest(_domainSeparatorV4(), payer, payee, cumulative, uptoBatch);
        if (!Signatures.isBy(digest, payer, signature)) revert InvalidSignature();
        paid = _claim(payer, payee, cumulative);
        _credit(payee, paid);
    }

    /// @inheritdoc IChannels
    function claimMany(address payee, bytes calldata vouchers) external returns (uint256 paid) {
        if (vouchers.length % _RECORD != 0) revert InvalidLength(vouchers.length);
        bytes32 domain = _domainSeparatorV4();
        for (uint256 at = 0; at != vouchers.length;) {
            (address payer, uint96 cumulative, uint32 uptoBatch, bytes32 r, uint256 vs) = _record(vouchers, at);
            bytes32 digest = _voucherDigest(domain, payer, payee, cumulative, uptoBatch);
            if (!Signatures.isBy(digest, payer, r, vs)) revert InvalidSignature();
            unchecked {
                paid += _claim(payer, payee, cumulative);
                at += _RECORD;
            }
        }
        _credit(payee, paid);
    }

    /// @inheritdoc IChannels
    function claimJudgement(address payer, address payee) external returns (uint96) {
        return _claimJudgement(payer, payee);
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

    // ---------------------------------------------------------------- court only

    /// @inheritdoc IChannels
    function takeBond(address from, uint96 amount) external {
        _onlyCourt();
        _move(from, msg.sender, amount);
    }

    /// @inheritdoc IChannels
    function hold(address payer, address payee, uint40 until) external {
        _onlyCourt();
        Channel storage c = _channels[payer][payee];
        if (c.closesAt <= block.timestamp || c.closesAt >= until || c.held) return; // zero, too, is past
        c.closesAt = until;
        c.held = true;

        emit Held(payer, payee, until);
    }

    /// @inheritdoc IChannels
    function markJudged(address payer, address payee) external {
        _onlyCourt();
        _channels[payer][payee].judged = true;
    }

    /// @inheritdoc IChannels
    function fundFromStake(address payer, address payee, uint96 amount) external {
        _onlyCourt();
        _debit(msg.sender, amount);
        Channel storage c = _channels[payer][payee];
        uint96 total = c.deposit + amount;
        c.deposit = total;

        emit Funded(payer, payee, amount, total);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IChannels
    function channel(address payer, address payee)
        external
        view
        returns (uint96 deposited, uint96 claimed, uint40 closesAt)
    {
        Channel storage c = _channels[payer][payee];
        return (c.deposit, c.claimed, c.closesAt);
    }

    /// @inheritdoc IChannels
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---------------------------------------------------------------- internal

    /// @dev Takes tokens from the caller for an account.
    function _deposit(address account, uint96 amount) private {
        balanceOf[account] += amount;

        emit Deposited(account, amount);

        TOKEN.pull(amount);
    }

    /// @dev Takes an amount out of a balance.
    function _debit(address account, uint256 amount) private {
        uint256 balance = balanceOf[account];
        if (balance < amount) revert InsufficientBalance(balance, amount);
        unchecked {
            balanceOf[account] = balance - amount;
        }
    }

    /// @dev Adds to a balance what left a channel. All balances and channels together are never more than the tokens held.
    function _credit(address account, uint256 amount) private {
        unchecked {
            balanceOf[account] += amount;
        }
    }

    function _move(address from, address to, uint96 amount) private {
        _debit(from, amount);
        balanceOf[to] += amount;

        emit Moved(from, to, amount);
    }

    /// @dev Adds to the caller's channel what was, or in the same call will be, taken out of its balance.
    function _fund(address payee, uint96 amount) private {
        if (payee == address(0)) revert InvalidRecipient();
        Channel storage c = _channels[msg.sender][payee];
        uint96 total = c.deposit + amount;
        c.deposit = total;
        c.closesAt = 0;
        c.held = false;

        emit Funded(msg.sender, payee, amount, total);
    }

    /// @dev Raises the high-water mark to an all-time total that the payee has a right to, as far as the deposit goes.
    /// Callers credit what it returns.
    function _claim(address payer, address payee, uint96 total) private returns (uint96 paid) {
        Channel storage c = _channels[payer][payee];
        uint256 word;
        uint96 deposited;
        uint96 claimed;
        // The slot is read once and written once: deposit in its lowest 96 bits, claimed in the next.
        assembly ("memory-safe") {
            word := sload(c.slot)
            deposited := and(word, 0xffffffffffffffffffffffff)
            claimed := and(shr(96, word), 0xffffffffffffffffffffffff)
        }
        if (deposited < total) total = deposited;
        if (total <= claimed) return 0;

        assembly ("memory-safe") {
            paid := sub(total, claimed)
            sstore(c.slot, add(word, shl(96, paid)))
        }

        emit Claimed(payer, payee, paid, total);
    }

    function _claimJudgement(address payer, address payee) private returns (uint96 paid) {
        paid = _claim(payer, payee, COURT.judgement(payer, payee).total);
        _credit(payee, paid);
    }

    /// @dev Pays the payee what is judged, credits the payer with the rest, and ends a pending close.
    function _refund(address payer, address payee) private returns (uint96 refund) {
        Channel storage c = _channels[payer][payee];
        if (c.judged) _claimJudgement(payer, payee);
        uint96 claimed = c.claimed;
        refund = c.deposit - claimed;
        c.deposit = claimed;
        c.closesAt = 0;
        c.held = false;
        balanceOf[payer] += refund;
    }

    /// @dev The EIP-712 digest of a voucher: as abi.encode and MessageHashUtils would make it, for a fifth of the gas.
    function _voucherDigest(bytes32 domain, address payer, address payee, uint96 cumulative, uint32 uptoBatch)
        private
        pure
        returns (bytes32 digest)
    {
        bytes32 typehash = _VOUCHER_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 0x20), and(payer, 0xffffffffffffffffffffffffffffffffffffffff))
            mstore(add(free, 0x40), and(payee, 0xffffffffffffffffffffffffffffffffffffffff))
            mstore(add(free, 0x60), and(cumulative, 0xffffffffffffffffffffffff))
            mstore(add(free, 0x80), and(uptoBatch, 0xffffffff))
            let structHash := keccak256(free, 0xa0)
            mstore(free, shl(240, 0x1901))
            mstore(add(free, 0x02), domain)
            mstore(add(free, 0x22), structHash)
            digest := keccak256(free, 0x42)
        }
    }

    /// @dev The packed voucher that begins at a place.
    function _record(bytes calldata vouchers, uint256 at)
        private
        pure
        returns (address payer, uint96 cumulative, uint32 uptoBatch, bytes32 r, uint256 vs)
    {
        assembly ("memory-safe") {
            let start := add(vouchers.offset, at)
            let head := calldataload(start)
            payer := shr(96, head)
            cumulative := and(head, 0xffffffffffffffffffffffff)
            uptoBatch := shr(224, calldataload(add(start, 0x20)))
            r := calldataload(add(start, 0x24))
            vs := calldataload(add(start, 0x44))
        }
    }

    function _onlyCourt() private view {
        if (msg.sender != address(COURT)) revert NotCourt();
    }
}
