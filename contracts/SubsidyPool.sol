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
import {BlindRsa} from "./lib/BlindRsa.sol";
import {EpochClock} from "./lib/EpochClock.sol";
import {MerklePath} from "./lib/MerklePath.sol";
import {Passes} from "./lib/Passes.sol";
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

    /// @dev One slot: what a campaign paid to one relay, in all and for the period last paid for, and whether a voucher was
    /// among the latter.
    struct Paid {
        uint96 claimed;
        uint32 period;
        uint96 inPeriod;
        bool vouchered;
    }

    /// @dev One slot: what the caps leave for a period. Written with the period's first payment, so that the others need not
    /// read the campaign's caps, which never change.
    struct PeriodLimits {
        uint128 left;
        uint128 relayCap;
    }

    /// @dev A signer that was replaced, and the last second in which its vouchers are valid.
    struct FormerSigner {
        address signer;
        uint40 until;
    }

    /// @dev All of a campaign.
    struct Books {
        Campaign terms;
        FormerSigner former;
        mapping(uint8 kind => mapping(uint32 period => Key)) keys;
        mapping(uint32 period => PeriodLimits) limits;
        mapping(address relay => Paid) paid;
    }

    /// @dev What all passes of a call have in common: their scope, what a tick pays, the epoch in which they count, and the
    /// draw that has to hit `position`.
    struct Draw {
        uint32 campaign;
        uint8 kind;
        uint32 period;
        uint96 hopPrice;
        uint32 lastEpoch;
        uint32 position;
        uint32 count;
        bytes32 beacon;
    }

    uint8 private constant _ENTRY = 1;
    uint8 private constant _MAILBOX = 2;

    /// @dev What a tick pays, in hop prices: whoever takes it sends a packet along a whole path.
    uint256 private constant _TICK_VALUE = 5;

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

    mapping(uint32 campaign => Books) private _books;

    /// @inheritdoc ISubsidyPool
    mapping(bytes32 pass => bool) public isRedeemed;

    // ---------------------------------------------------------------- campaigns

    /// @param channels Holds the budgets
    /// @param registry Its beacons close the setting of keys and draw passes' relays; of the same ledger
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
        bool fits = termLength != 0 && withdrawalNotice > claimWindow;
        if (!fits || registry.CHANNELS() != channels) revert InvalidParameters();
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
        _books[id].terms = Campaign({
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
        Campaign storage c = _books[campaignId].terms;
        if (c.sponsor == address(0)) revert UnknownCampaign(campaignId);
        c.budget += amount;

        emit CampaignFunded(campaignId, msg.sender, amount);

        _token.safeTransferFrom(msg.sender, address(this), amount);
        // Refuses a token that takes a fee on transfer, for both transfers.
        CHANNELS.deposit(amount);
    }

    /// @inheritdoc ISubsidyPool
    function setKey(uint32 campaignId, uint8 kind, uint32 period, bytes32 keyHash) external {
        Campaign storage c = _books[campaignId].terms;
        if (msg.sender != c.sponsor && msg.sender != c.signer) revert NotSponsorOrSigner();
        if (kind != _ENTRY && kind != _MAILBOX) revert InvalidKind(kind);
        if (keyHash == 0) revert InvalidKey();
        Key storage k = _books[campaignId].keys[kind][period];
        if (k.keyHash != 0) revert KeyAlreadySet();
        uint32 firstEpoch = _firstEpoch(kind, period);
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
        FormerSigner storage f = _books[campaignId].former;
        if (block.timestamp <= f.until) revert FormerSignerValid(f.until);

        uint40 until = uint40(block.timestamp) + CLAIM_WINDOW;
        (f.signer, f.until) = (c.signer, until);
        c.signer = signer;

        emit SignerChanged(campaignId, signer, until);
    }

    // ---------------------------------------------------------------- claims

    /// @inheritdoc ISubsidyPool
    function claim(uint32 campaignId, uint32 period, uint96 cumulative, bytes32 r, bytes32 vs)
        external
        returns (uint96 paid)
    {
        Books storage b = _books[campaignId];
        bytes32 voucher = keccak256(abi.encode(_VOUCHER_TYPEHASH, campaignId, msg.sender, period, cumulative));
        bytes32 digest = Signatures.digestOf(_domainSeparatorV4(), voucher);
        if (!Signatures.isBy(digest, b.terms.signer, r, uint256(vs))) _checkFormer(b.former, digest, r, vs);
        if (block.timestamp < _epochStart(period)) revert PeriodInFuture(period);

        uint96 claimed;
        (paid, claimed) = _book(b, period, cumulative, true);
        if (paid == 0) return 0;

        emit PoolClaimed(campaignId, msg.sender, period, paid, claimed);

        CHANNELS.move(msg.sender, paid);
    }

    /// @inheritdoc ISubsidyPool
    function redeemPasses(
        uint32 campaignId,
        uint8 kind,
        uint32 period,
        bytes32[8] calldata modulus,
        RelayProof calldata relay,
        Pass[] calldata passes
    ) external returns (uint96 paid) {
        Books storage b = _books[campaignId];
        Draw memory draw = _drawOf(campaignId, kind, period, modulus, relay);
        uint256 worth = _spend(draw, modulus, passes);
        uint256 total = Math.min(b.paid[msg.sender].claimed + worth, type(uint96).max);
        uint96 claimed;
        (paid, claimed) = _book(b, draw.lastEpoch, total, false);
        if (paid != worth) revert ExceedsLimits(paid, worth);

        _emitRedeemed(draw, paid, claimed, passes);

        CHANNELS.move(msg.sender, paid);
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
        return _books[id].terms;
    }

    /// @inheritdoc ISubsidyPool
    function key(uint32 campaignId, uint8 kind, uint32 period)
        external
        view
        returns (bytes32 keyHash, uint96 hopPrice)
    {
        Key storage k = _books[campaignId].keys[kind][period];
        return (k.keyHash, k.hopPrice);
    }

    /// @inheritdoc ISubsidyPool
    function claimedBy(uint32 campaignId, address relay)
        external
        view
        returns (uint96 claimed, uint32 period, uint96 inPeriod, bool vouchered)
    {
        Paid storage p = _books[campaignId].paid[relay];
        return (p.claimed, p.period, p.inPeriod, p.vouchered);
    }

    /// @inheritdoc ISubsidyPool
    function paidInPeriod(uint32 campaignId, uint32 period) external view returns (uint96) {
        PeriodLimits storage l = _books[campaignId].limits[period];
        return l.relayCap != 0 ? _books[campaignId].terms.periodCap - uint96(l.left) : 0;
    }

    /// @inheritdoc ISubsidyPool
    function formerSigner(uint32 campaignId) external view returns (address signer, uint40 until) {
        FormerSigner storage f = _books[campaignId].former;
        return (f.signer, f.until);
    }

    // ---------------------------------------------------------------- internal

    /// @dev The campaign, if the caller is its sponsor.
    function _campaignOfCaller(uint32 campaignId) private view returns (Campaign storage c) {
        c = _books[campaignId].terms;
        if (msg.sender != c.sponsor) revert NotSponsor();
    }

    /// @dev Checks that a signer signed that was replaced, but whose vouchers are still valid.
    function _checkFormer(FormerSigner storage f, bytes32 digest, bytes32 r, bytes32 vs) private view {
        if (block.timestamp > f.until || !Signatures.isBy(digest, f.signer, r, uint256(vs))) {
            revert InvalidSignature();
        }
    }

    /// @dev Books what the caller is paid for a period: up to an all-time total, as far as budget and caps leave it.
    function _book(Books storage b, uint32 period, uint256 total, bool byVoucher)
        private
        returns (uint96 paid, uint96 claimed)
    {
        unchecked {
            uint256 closedAt = _epochEnd(period) + CLAIM_WINDOW;
            if (block.timestamp > closedAt) revert ClaimWindowOver(period, closedAt);
            Paid storage p = b.paid[msg.sender];
            uint32 latest;
            uint96 inPeriod;
            (claimed, latest, inPeriod) = (p.claimed, p.period, p.inPeriod);
            if (period != latest) {
                if (period < latest) revert PeriodTooOld(period, latest);
                inPeriod = 0;
            }
            if (total <= claimed) return (0, claimed);
            paid = _take(b, period, total - claimed, inPeriod);
            if (paid == 0) return (0, claimed);
            claimed += paid;
            (p.claimed, p.period, p.inPeriod, p.vouchered) = (claimed, period, inPeriod + paid, byVoucher);
        }
    }

    /// @dev Takes what is wanted, or as much of it as there is, out of the budget and of what the caps leave.
    function _take(Books storage b, uint32 period, uint256 wanted, uint96 inPeriod) private returns (uint96 taken) {
        Campaign storage c = b.terms;
        PeriodLimits storage l = b.limits[period];
        (uint128 left, uint128 relayCap, uint96 budget) = (l.left, l.relayCap, c.budget);
        if (relayCap == 0) (left, relayCap) = (c.periodCap, c.relayCap);
        unchecked {
            if (relayCap - inPeriod < wanted) wanted = relayCap - inPeriod;
            if (left < wanted) wanted = left;
            if (budget < wanted) wanted = budget;
            // forge-lint: disable-next-line(unsafe-typecast) (at most the budget)
            taken = uint96(wanted);
            (l.left, l.relayCap, c.budget) = (left - taken, relayCap, budget - taken);
        }
    }

    /// @dev Checks key, time and the caller's place in the registry.
    function _drawOf(
        uint32 campaignId,
        uint8 kind,
        uint32 period,
        bytes32[8] calldata modulus,
        RelayProof calldata relay
    ) private view returns (Draw memory draw) {
        Key storage k = _books[campaignId].keys[kind][period];
        if (keccak256(abi.encodePacked(modulus)) != k.keyHash) revert InvalidKey();
        (draw.campaign, draw.kind, draw.period, draw.hopPrice) = (campaignId, kind, period, k.hopPrice);
        draw.lastEpoch = _redeemable(_books[campaignId].paid[msg.sender], kind, period);

        bytes32 root;
        (root, draw.count, draw.beacon) = REGISTRY.frozen(_firstEpoch(kind, period));
        bytes32 leaf = keccak256(abi.encodePacked(relay.id, msg.sender, relay.linkKey, relay.endpointHash));
        if (MerklePath.root(leaf, relay.position, relay.siblings) != root) revert InvalidRelayProof();
        draw.position = relay.position;
    }

    /// @dev The epoch in which passes of a period count, if it is over and no voucher for it has paid.
    function _redeemable(Paid storage p, uint8 kind, uint32 period) private view returns (uint32 lastEpoch) {
        lastEpoch = kind == _ENTRY ? period : period * TERM_LENGTH + (TERM_LENGTH - 1);
        uint256 endsAt = _epochEnd(lastEpoch);
        if (block.timestamp < endsAt) revert PeriodNotOver(lastEpoch, endsAt);
        if (p.vouchered && p.period == lastEpoch) revert VoucherClaimed(lastEpoch);
    }

    /// @dev Checks and spends passes; returns what they are worth.
    function _spend(Draw memory draw, bytes32[8] calldata modulus, Pass[] calldata passes)
        private
        returns (uint256 worth)
    {
        if (passes.length == 0) revert NoPasses();
        for (uint256 i = 0; i < passes.length; ++i) {
            Pass calldata p = passes[i];
            bytes32 id = Passes.digest(draw.campaign, draw.kind, draw.period, p.anchor);
            if (isRedeemed[id]) revert PassRedeemed(id);
            isRedeemed[id] = true;
            if (!BlindRsa.isSigned(id, p.signature, modulus)) revert InvalidPassSignature(id);
            uint256 drawn = Passes.drawn(p.signature, draw.beacon, draw.count);
            if (drawn != draw.position) revert WrongRelay(id, drawn);
            if (p.tick == 0 || p.tick > Passes.TICKS) revert InvalidTick(id);
            if (Passes.anchorOf(p.tick, p.link, p.siblings) != p.anchor) revert InvalidTick(id);
            worth += p.tick * _TICK_VALUE * draw.hopPrice;
        }
    }

    function _emitRedeemed(Draw memory draw, uint96 paid, uint96 claimed, Pass[] calldata passes) private {
        bytes32[] memory anchors = new bytes32[](passes.length);
        uint16[] memory ticks = new uint16[](passes.length);
        for (uint256 i = 0; i < passes.length; ++i) {
            (anchors[i], ticks[i]) = (passes[i].anchor, passes[i].tick);
        }
        emit PassesRedeemed(draw.campaign, msg.sender, draw.kind, draw.period, paid, claimed, anchors, ticks);
    }

    function _firstEpoch(uint8 kind, uint32 period) private view returns (uint32) {
        return kind == _ENTRY ? period : period * TERM_LENGTH;
    }

    function _min(uint96 a, uint96 b) private pure returns (uint96) {
        return uint96(Math.min(a, b));
    }
}
