// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {INetwork} from "./interfaces/INetwork.sol";
import {IRelayRegistry} from "./interfaces/IRelayRegistry.sol";
import {ISubsidyPool} from "./interfaces/ISubsidyPool.sol";
import {EpochClock} from "./lib/EpochClock.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title SubsidyPool
/// @notice See ISubsidyPool.
contract SubsidyPool is ISubsidyPool, EIP712, EpochClock {
    using SafeERC20 for IERC20;

    /// @dev A period's blind-signing key and hop price.
    struct Key {
        bytes32 keyHash;
        uint96 hopPrice;
    }

    /// @dev One slot: what a campaign paid to one relay, in all and for the period last claimed for.
    struct Paid {
        uint96 claimed;
        uint32 period;
        uint96 inPeriod;
    }

    uint8 private constant _ENTRY = 1;
    uint8 private constant _MAILBOX = 2;

    bytes32 private constant _VOUCHER_TYPEHASH =
        keccak256("PoolVoucher(uint32 campaign,address relay,uint32 period,uint96 cumulative)");

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc ISubsidyPool
    IChannels public immutable CHANNELS;
    /// @inheritdoc ISubsidyPool
    IRelayRegistry public immutable REGISTRY;
    /// @inheritdoc ISubsidyPool
    INetwork public immutable NETWORK;
    /// @inheritdoc ISubsidyPool
    uint32 public immutable TERM_LENGTH;
    /// @inheritdoc ISubsidyPool
    uint40 public immutable CLAIM_WINDOW;
    /// @inheritdoc ISubsidyPool
    uint40 public immutable WITHDRAWAL_NOTICE;

    IERC20 private immutable _token;

    // ---------------------------------------------------------------- storage

    /// @inheritdoc ISubsidyPool
    uint32 public campaignCount;

    mapping(uint32 campaign => Campaign) private _campaigns;
    mapping(uint32 campaign => mapping(uint8 kind => mapping(uint32 period => Key))) private _keys;
    mapping(uint32 campaign => mapping(address relay => Paid)) private _paid;

    /// @inheritdoc ISubsidyPool
    mapping(uint32 campaign => mapping(uint32 period => uint96 amount)) public paidInPeriod;

    // ---------------------------------------------------------------- campaigns

    /// @param channels Holds the budgets
    /// @param registry Its beacons close the setting of keys
    /// @param network Gives genesis, epoch length and hop price
    /// @param termLength Epochs in a term, not zero
    /// @param claimWindow Seconds after a period's end in which it can be claimed
    /// @param withdrawalNotice Seconds before a withdrawal, longer than the claim window
    constructor(
        IChannels channels,
        IRelayRegistry registry,
        INetwork network,
        uint32 termLength,
        uint40 claimWindow,
        uint40 withdrawalNotice
    ) EIP712("Mixpay SubsidyPool", "1") EpochClock(network) {
        if (termLength == 0 || withdrawalNotice <= claimWindow) revert InvalidParameters();
        CHANNELS = channels;
        REGISTRY = registry;
        NETWORK = network;
        TERM_LENGTH = termLength;
        CLAIM_WINDOW = claimWindow;
        WITHDRAWAL_NOTICE = withdrawalNotice;
        _token = channels.TOKEN();
        // Channels takes only what this contract deposits, so one approval for ever is safe.
        _token.forceApprove(address(channels), type(uint256).max);
    }

    /// @inheritdoc ISubsidyPool
    function createCampaign(address signer, uint96 periodCap, uint96 relayCap) external returns (uint32 id) {
        if (signer == address(0)) revert InvalidSigner();
        id = ++campaignCount;
        _campaigns[id] = Campaign({
            signer: signer,
            relayCap: relayCap,
            periodCap: periodCap,
            budget: 0,
            withdrawableAt: 0,
            sponsor: msg.sender,
            withdrawal: 0
        });

        emit CampaignCreated(id, msg.sender, signer, periodCap, relayCap);
    }

    /// @inheritdoc ISubsidyPool
    function fund(uint32 campaignId, uint96 amount) external {
        Campaign storage c = _campaigns[campaignId];
        if (c.sponsor == address(0)) revert UnknownCampaign(campaignId);
        c.budget += amount;

        emit CampaignFunded(campaignId, msg.sender, amount);

        _token.safeTransferFrom(msg.sender, address(this), amount);
        // Refuses a token that takes a fee on transfer, for both transfers.
        CHANNELS.deposit(amount);
    }

    /// @inheritdoc ISubsidyPool
    function setKey(uint32 campaignId, uint8 kind, uint32 period, bytes32 keyHash) external {
        Campaign storage c = _campaigns[campaignId];
        if (msg.sender != c.sponsor && msg.sender != c.signer) revert NotSponsorOrSigner();
        if (kind != _ENTRY && kind != _MAILBOX) revert InvalidKind(kind);
        if (keyHash == 0) revert InvalidKey();
        Key storage k = _keys[campaignId][kind][period];
        if (k.keyHash != 0) revert KeyAlreadySet();
        uint32 firstEpoch = kind == _ENTRY ? period : period * TERM_LENGTH;
        if (firstEpoch <= _currentEpoch() || REGISTRY.isFrozen(firstEpoch)) revert KeyTooLate(firstEpoch);

        uint96 hopPrice = NETWORK.releaseAt(firstEpoch).hopPrice;
        k.keyHash = keyHash;
        k.hopPrice = hopPrice;

        emit KeySet(campaignId, kind, period, keyHash, hopPrice);
    }

    /// @inheritdoc ISubsidyPool
    function setSigner(uint32 campaignId, address signer) external {
        Campaign storage c = _campaignOfCaller(campaignId);
        if (signer == address(0)) revert InvalidSigner();
        c.signer = signer;

        emit SignerChanged(campaignId, signer);
    }

    // ---------------------------------------------------------------- claims

    /// @inheritdoc ISubsidyPool
    function claim(uint32 campaignId, address relay, uint32 period, uint96 cumulative, bytes calldata signature)
        external
        returns (uint96 paid)
    {
        (address signer, uint96 relayCap) = (_campaigns[campaignId].signer, _campaigns[campaignId].relayCap);
        bytes32 voucher = keccak256(abi.encode(_VOUCHER_TYPEHASH, campaignId, relay, period, cumulative));
        if (!Signatures.isBy(_hashTypedDataV4(voucher), signer, signature)) revert InvalidSignature();
        _checkPeriod(period);

        Paid storage p = _paid[campaignId][relay];
        (uint96 claimed, uint32 latest, uint96 inPeriod) = (p.claimed, p.period, p.inPeriod);
        if (period < latest) revert PeriodTooOld(period, latest);
        if (period != latest) inPeriod = 0;

        paid = cumulative > claimed ? cumulative - claimed : 0;
        paid = _min(paid, relayCap - inPeriod);
        paid = _takeFromBudget(campaignId, period, paid);
        if (paid == 0) return 0;
        claimed += paid;
        (p.claimed, p.period, p.inPeriod) = (claimed, period, inPeriod + paid);

        emit PoolClaimed(campaignId, relay, period, paid, claimed);

        CHANNELS.move(relay, paid);
    }

    // ---------------------------------------------------------------- withdrawals

    /// @inheritdoc ISubsidyPool
    function requestWithdrawal(uint32 campaignId, uint96 amount) external {
        Campaign storage c = _campaignOfCaller(campaignId);
        if (amount > c.budget) revert ExceedsBudget(c.budget, amount);
        uint40 withdrawableAt = amount == 0 ? 0 : uint40(block.timestamp) + WITHDRAWAL_NOTICE;
        c.withdrawal = amount;
        c.withdrawableAt = withdrawableAt;

        emit WithdrawalRequested(campaignId, amount, withdrawableAt);
    }

    /// @inheritdoc ISubsidyPool
    function finishWithdrawal(uint32 campaignId, address to) external {
        Campaign storage c = _campaignOfCaller(campaignId);
        uint40 withdrawableAt = c.withdrawableAt;
        if (withdrawableAt == 0) revert WithdrawalNotRequested();
        if (block.timestamp < withdrawableAt) revert NoticeRunning(withdrawableAt);
        uint96 amount = _min(c.withdrawal, c.budget);
        c.budget -= amount;
        c.withdrawal = 0;
        c.withdrawableAt = 0;

        emit WithdrawalFinished(campaignId, to, amount);

        CHANNELS.withdraw(to, amount);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc ISubsidyPool
    function campaign(uint32 id) external view returns (Campaign memory) {
        return _campaigns[id];
    }

    /// @inheritdoc ISubsidyPool
    function key(uint32 campaignId, uint8 kind, uint32 period)
        external
        view
        returns (bytes32 keyHash, uint96 hopPrice)
    {
        Key storage k = _keys[campaignId][kind][period];
        return (k.keyHash, k.hopPrice);
    }

    /// @inheritdoc ISubsidyPool
    function claimedBy(uint32 campaignId, address relay)
        external
        view
        returns (uint96 claimed, uint32 period, uint96 inPeriod)
    {
        Paid storage p = _paid[campaignId][relay];
        return (p.claimed, p.period, p.inPeriod);
    }

    // ---------------------------------------------------------------- internal

    /// @dev The campaign, if the caller is its sponsor.
    function _campaignOfCaller(uint32 campaignId) private view returns (Campaign storage c) {
        c = _campaigns[campaignId];
        if (msg.sender != c.sponsor) revert NotSponsor();
    }

    /// @dev Takes up to `wanted` out of what budget and period cap leave.
    function _takeFromBudget(uint32 campaignId, uint32 period, uint96 wanted) private returns (uint96 taken) {
        Campaign storage c = _campaigns[campaignId];
        mapping(uint32 period => uint96 amount) storage paidInPeriods = paidInPeriod[campaignId];
        uint96 paidByAll = paidInPeriods[period];
        (uint96 periodCap, uint96 budget) = (c.periodCap, c.budget);
        taken = _min(wanted, _min(periodCap - paidByAll, budget));
        paidInPeriods[period] = paidByAll + taken;
        c.budget = budget - taken;
    }

    /// @dev A period can be claimed from its beginning until the claim window after its end.
    function _checkPeriod(uint32 period) private view {
        if (period > _currentEpoch()) revert PeriodInFuture(period);
        uint256 closedAt = _epochEnd(period) + CLAIM_WINDOW;
        if (block.timestamp > closedAt) revert ClaimWindowOver(period, closedAt);
    }

    function _min(uint96 a, uint96 b) private pure returns (uint96) {
        return uint96(Math.min(a, b));
    }
}
