// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "./IChannels.sol";
import {INetwork} from "./INetwork.sol";
import {IRelayRegistry} from "./IRelayRegistry.sol";

/// @title Campaigns that pay for other people's packets
/// @notice A *campaign* is a sponsor's budget. Its issuer blind-signs passes, entry relays collect their ticks, and the
/// campaign's signer turns them into *pool vouchers*, each for the total owed to one relay since ever. All budgets stand in
/// this contract's one ledger account in Channels; a claim moves money from there to the relay's account.
///
/// What is signed (EIP-712, domain "Mixpay SubsidyPool", version "1", this chain, this contract):
/// PoolVoucher(uint32 campaign,address relay,uint32 period,uint96 cumulative). Its period is an epoch; what is owed for a
/// term (kind 2) counts in the term's last epoch.
///
/// When the signer is silent, a relay redeems its passes here itself (`redeemPasses`). Vouchers and passes pay into one
/// all-time total: a voucher's total includes what was redeemed here. So that no pass is paid by both, passes of a period
/// are redeemed only as long as the relay has claimed no voucher of that period or a later one, and a signer never signs a
/// voucher with a period before the last epoch of a pass that is in it.
/// @dev Trust: nobody has a special right here; there is no owner, no proxy and no pause. A relay relies on the budget less
/// the pending withdrawal, both in `campaign`, and on the caps, for the worth of vouchers and passes: a sponsor whose signer
/// pays others first leaves less for it. It does not rely on the signer for more than the gas that passes cost above
/// vouchers. A sponsor relies on its signer, and on the secrecy of its blind-signing keys, up to the caps.
interface ISubsidyPool {
    /// @notice A sponsor's budget and its limits.
    /// @dev Signer and budget share a slot, which is all of it that most payments touch.
    /// @param signer Signs pool vouchers and may set keys
    /// @param budget What is left
    /// @param relayCap The most that one relay can be paid for one period
    /// @param periodCap The most that all relays together can be paid for one period
    /// @param withdrawableAt When the pending withdrawal can be finished; zero when none is requested
    /// @param sponsor Created the campaign; withdraws, and names the signer
    /// @param withdrawal What the sponsor has asked back; relays cannot count on this part of the budget
    struct Campaign {
        address signer;
        uint96 budget;
        uint96 relayCap;
        uint96 periodCap;
        uint40 withdrawableAt;
        address sponsor;
        uint96 withdrawal;
    }

    /// @notice A relay's place in the registry as it was frozen for the epoch that passes draw from. The caller is the
    /// operator in its leaf.
    /// @param id Its number
    /// @param position Where it stood
    /// @param linkKey Its link key then
    /// @param endpointHash keccak256 of its endpoint then
    /// @param siblings The siblings on the way from its leaf to the frozen root, bottom up
    struct RelayProof {
        uint32 id;
        uint32 position;
        bytes32 linkKey;
        bytes32 endpointHash;
        bytes32[] siblings;
    }

    /// @notice A pass, and the furthest tick of it that the relay holds.
    /// @dev The signed message is "mixpay-pass-v1" . chain id u64 . this contract 20 . campaign u32 . kind u8 . period u32 .
    /// anchor 32; the signature is RSASSA-PSS, see BlindRsa. The anchor is the Merkle root over keccak256(head) of 64 hash
    /// chains of 256 links, see Passes.
    /// @param anchor Root over the heads of its chains
    /// @param signature The issuer's, unblinded
    /// @param tick The tick's number, 1 to 16,384: link k of chain c is number 256 * c + k
    /// @param link That link
    /// @param siblings The siblings on the way from the chain's head to the anchor, bottom up
    struct Pass {
        bytes32 anchor;
        bytes32[8] signature;
        uint16 tick;
        bytes32 link;
        bytes32[6] siblings;
    }

    /// @notice Thrown when the pool is deployed with a withdrawal notice not longer than the claim window, with terms of no
    /// epochs, or with a registry of another ledger.
    error InvalidParameters();
    /// @notice Thrown when there is no such campaign.
    /// @param campaign The number asked for
    error UnknownCampaign(uint32 campaign);
    /// @notice Thrown when the caller is not the campaign's sponsor.
    error NotSponsor();
    /// @notice Thrown when the caller is neither sponsor nor signer of the campaign.
    error NotSponsorOrSigner();
    /// @notice Thrown when the zero address is named as signer.
    error InvalidSigner();
    /// @notice Thrown when a pass kind is neither 1 (entry) nor 2 (mailbox).
    /// @param kind The kind given
    error InvalidKind(uint8 kind);
    /// @notice Thrown when a key hash is zero, or a modulus is not the one registered for campaign, kind and period.
    error InvalidKey();
    /// @notice Thrown when the period has its key already.
    error KeyAlreadySet();
    /// @notice Thrown when the beacon of the period's first epoch is drawn already.
    /// @param firstEpoch The first epoch of the period
    error KeyTooLate(uint32 firstEpoch);
    /// @notice Thrown when the signer was changed so lately that the former one's vouchers are still valid.
    /// @param until The last second in which they are
    error FormerSignerValid(uint40 until);
    /// @notice Thrown when a pool voucher's signature is malformed, not canonical (high s), or neither the signer's nor that
    /// of a former signer whose vouchers are still valid.
    error InvalidSignature();
    /// @notice Thrown when a voucher is for a period that has not begun.
    /// @param period The voucher's period
    error PeriodInFuture(uint32 period);
    /// @notice Thrown when the relay has already been paid for a later period.
    /// @param period The voucher's period, or the last epoch of the passes'
    /// @param latest The period last paid for
    error PeriodTooOld(uint32 period, uint32 latest);
    /// @notice Thrown when the period ended longer ago than the claim window.
    /// @param period The voucher's period, or the last epoch of the passes'
    /// @param closedAt The last second in which it could be claimed
    error ClaimWindowOver(uint32 period, uint256 closedAt);
    /// @notice Thrown when passes are redeemed before their period is over.
    /// @param period The last epoch of the passes' period
    /// @param endsAt The first second after it
    error PeriodNotOver(uint32 period, uint256 endsAt);
    /// @notice Thrown when passes are redeemed of a period for which the relay has claimed a voucher, which may cover them.
    /// @param period The last epoch of the passes' period
    error VoucherClaimed(uint32 period);
    /// @notice Thrown when the caller is not the operator of the relay that stood, as described, at the position given when
    /// the registry was frozen for the first epoch of the passes' period.
    error InvalidRelayProof();
    /// @notice Thrown when no pass is given.
    error NoPasses();
    /// @notice Thrown when a pass was redeemed before, or stands in the call twice.
    /// @param pass SHA-256 of its signed message
    error PassRedeemed(bytes32 pass);
    /// @notice Thrown when the period's key did not sign a pass for this campaign, kind, period and anchor, or the signature
    /// is not below the modulus.
    /// @param pass SHA-256 of its signed message
    error InvalidPassSignature(bytes32 pass);
    /// @notice Thrown when a pass draws another relay.
    /// @param pass SHA-256 of its signed message
    /// @param position The position that it draws
    error WrongRelay(bytes32 pass, uint256 position);
    /// @notice Thrown when a tick's number is not from 1 to 16,384, or its link does not lead to the anchor.
    /// @param pass SHA-256 of its signed message
    error InvalidTick(bytes32 pass);
    /// @notice Thrown when passes are worth more than what budget, `periodCap` and `relayCap` leave for their period.
    /// Nothing is spent then: redeem fewer passes, or an earlier tick of one, which gives up the rest of that pass.
    /// @param left What they leave
    /// @param amount What the passes are worth
    error ExceedsLimits(uint96 left, uint256 amount);
    /// @notice Thrown when more is asked back than the budget holds.
    /// @param budget What is left
    /// @param amount What was asked for
    error ExceedsBudget(uint96 budget, uint96 amount);
    /// @notice Thrown when no withdrawal was requested.
    error WithdrawalNotRequested();
    /// @notice Thrown when the notice is still running.
    /// @param withdrawableAt When the withdrawal can be finished
    error NoticeRunning(uint40 withdrawableAt);

    /// @notice Emitted when a campaign is created.
    /// @param campaign Its number
    /// @param sponsor Who created it
    /// @param signer Who signs its vouchers
    /// @param periodCap The most that can be claimed for one period
    /// @param relayCap The most that one relay can claim for one period
    event CampaignCreated(
        uint32 indexed campaign, address indexed sponsor, address indexed signer, uint96 periodCap, uint96 relayCap
    );
    /// @notice Emitted when a budget rises.
    /// @param campaign Whose budget
    /// @param from Who paid
    /// @param amount How much
    event CampaignFunded(uint32 indexed campaign, address indexed from, uint96 amount);
    /// @notice Emitted when a period's blind-signing key is fixed.
    /// @param campaign The campaign
    /// @param kind 1 entry pass, 2 mailbox pass
    /// @param period Epoch (kind 1) or term (kind 2)
    /// @param keyHash keccak256 of the RSA modulus as 256 bytes
    /// @param hopPrice The hop price fixed with it
    event KeySet(uint32 indexed campaign, uint8 kind, uint32 period, bytes32 keyHash, uint96 hopPrice);
    /// @notice Emitted when a relay is paid by a voucher.
    /// @param campaign Whose budget paid
    /// @param relay Whose account was credited
    /// @param period The voucher's period
    /// @param amount What was paid now
    /// @param claimed All-time total paid by this campaign to this relay
    event PoolClaimed(uint32 indexed campaign, address indexed relay, uint32 period, uint96 amount, uint96 claimed);
    /// @notice Emitted when a relay is paid for passes. Whoever signs vouchers counts these passes as handed in.
    /// @param campaign Whose budget paid
    /// @param relay Whose account was credited
    /// @param kind 1 entry pass, 2 mailbox pass
    /// @param period Epoch (kind 1) or term (kind 2)
    /// @param amount What was paid now
    /// @param claimed All-time total paid by this campaign to this relay
    /// @param anchors The passes' anchors
    /// @param ticks The number of the tick that each was redeemed with, in the same order
    event PassesRedeemed(
        uint32 indexed campaign,
        address indexed relay,
        uint8 kind,
        uint32 period,
        uint96 amount,
        uint96 claimed,
        bytes32[] anchors,
        uint16[] ticks
    );
    /// @notice Emitted when a sponsor gives notice of a withdrawal.
    /// @param campaign The campaign
    /// @param amount What it asks back; zero takes an earlier request back
    /// @param withdrawableAt When it can be finished; zero when the request was taken back
    event WithdrawalRequested(uint32 indexed campaign, uint96 amount, uint40 withdrawableAt);
    /// @notice Emitted when a withdrawal is paid out.
    /// @param campaign The campaign
    /// @param to Who received the tokens
    /// @param amount How many
    event WithdrawalFinished(uint32 indexed campaign, address indexed to, uint96 amount);
    /// @notice Emitted when a campaign gets another signer.
    /// @param campaign The campaign
    /// @param signer The new signer
    /// @param formerUntil The last second in which the former signer's vouchers are valid
    event SignerChanged(uint32 indexed campaign, address indexed signer, uint40 formerUntil);

    /// @notice Creates a campaign; the caller becomes its sponsor. The caps never change.
    /// @param signer Signs its vouchers
    /// @param periodCap The most that can be claimed for one period
    /// @param relayCap The most that one relay can claim for one period
    /// @return id Its number, from 1
    function createCampaign(address signer, uint96 periodCap, uint96 relayCap) external returns (uint32 id);

    /// @notice Adds tokens, which the caller has approved before, to a budget. Anyone.
    /// @param campaignId Whose budget
    /// @param amount How many
    function fund(uint32 campaignId, uint96 amount) external;

    /// @notice Fixes the blind-signing key of a period, once, and the period's hop price with it. Sponsor or signer; only
    /// while the beacon of the period's first epoch is not drawn, so that neither key nor draw can follow the other.
    /// @param campaignId The campaign
    /// @param kind 1 entry pass (the period is an epoch), 2 mailbox pass (the period is a term)
    /// @param period Number of the epoch or term
    /// @param keyHash keccak256 of the RSA modulus as 256 bytes
    function setKey(uint32 campaignId, uint8 kind, uint32 period, bytes32 keyHash) external;

    /// @notice Replaces the signer. The former one's vouchers stay valid for a claim window, so that no relay loses what was
    /// signed for it; meanwhile the signer cannot be replaced again. The former signer sets no keys any more. Only the
    /// sponsor. What a thief of the former key can take in this time, the caps bound.
    /// @param campaignId The campaign
    /// @param signer The new signer
    function setSigner(uint32 campaignId, address signer) external;

    /// @notice Pays the caller what a voucher's total exceeds what it was paid before, within the budget, what `relayCap`
    /// leaves for this relay and period, and what `periodCap` leaves for the period. What a limit holds back is not lost:
    /// the same total pays it later, under a later period's voucher or after the budget was raised. With nothing (more) to
    /// pay it changes nothing and returns 0.
    /// @dev Only by the relay itself. What others could submit would end its right to redeem passes, see `redeemPasses`.
    /// @param campaignId Who pays
    /// @param period The epoch that the payment counts in; not in the future, not before the relay's last, and not ended
    /// longer than the claim window ago
    /// @param cumulative All-time total owed by this campaign to the caller
    /// @param r Of the signer's EIP-712 signature over the PoolVoucher
    /// @param vs The rest of it in the compact form of EIP-2098, low s: (v - 27) << 255 | s
    /// @return paid What was credited to the caller's account in Channels
    function claim(uint32 campaignId, uint32 period, uint96 cumulative, bytes32 r, bytes32 vs)
        external
        returns (uint96 paid);

    /// @notice Pays the caller for passes of a period that is over, all of them in full or none: 5 hop prices, as fixed with
    /// the period's key, for each tick up to the one given. For when the campaign's signer is silent. The payment counts in
    /// the period's last epoch.
    /// @dev A relay claims its vouchers of earlier periods first, for the pool never goes back to an earlier period, and
    /// those of this or a later period afterwards. Each pass is redeemed once, whatever its tick.
    /// @param campaignId Who pays
    /// @param kind 1 entry pass (the period is an epoch), 2 mailbox pass (the period is a term)
    /// @param period Number of the epoch or term; over, but not longer than the claim window ago
    /// @param modulus RSA modulus of the period's key
    /// @param relay Where the caller stood in the registry when the passes drew
    /// @param passes What it redeems
    /// @return paid What was credited to the caller's account in Channels
    function redeemPasses(
        uint32 campaignId,
        uint8 kind,
        uint32 period,
        bytes32[8] calldata modulus,
        RelayProof calldata relay,
        Pass[] calldata passes
    ) external returns (uint96 paid);

    /// @notice Gives notice of a withdrawal; replaces an earlier request. Only the sponsor. Claims go on meanwhile.
    /// @param campaignId The campaign
    /// @param amount What is asked back, at most the budget; zero takes an earlier request back
    function requestWithdrawal(uint32 campaignId, uint96 amount) external;

    /// @notice Pays the requested amount out in tokens, or what the budget still holds of it, once the notice is over. Only
    /// the sponsor.
    /// @param campaignId The campaign
    /// @param to Who receives the tokens
    function finishWithdrawal(uint32 campaignId, address to) external;

    /// @notice A campaign by its number; all zero when there is none.
    /// @param id Its number
    /// @return Sponsor, signer, caps, budget, and the pending withdrawal
    function campaign(uint32 id) external view returns (Campaign memory);

    /// @notice How many campaigns were created; also the number of the newest.
    /// @return Zero as long as there is none
    function campaignCount() external view returns (uint32);

    /// @notice The key of a period; zero when it is not set.
    /// @param campaignId The campaign
    /// @param kind 1 entry pass, 2 mailbox pass
    /// @param period Epoch or term
    /// @return keyHash keccak256 of the RSA modulus as 256 bytes
    /// @return hopPrice The period's hop price
    function key(uint32 campaignId, uint8 kind, uint32 period)
        external
        view
        returns (bytes32 keyHash, uint96 hopPrice);

    /// @notice The signer that was replaced last.
    /// @param campaignId The campaign
    /// @return signer Whose vouchers stay valid for a while; zero when the signer was never replaced
    /// @return until The last second in which they are
    function formerSigner(uint32 campaignId) external view returns (address signer, uint40 until);

    /// @notice What a campaign has paid to a relay, by vouchers and for passes.
    /// @param campaignId The campaign
    /// @param relay The operator
    /// @return claimed All-time total
    /// @return period The period last paid for
    /// @return inPeriod What was paid for that period
    /// @return vouchered Whether a voucher paid a part of that; then its passes cannot be redeemed any more
    function claimedBy(uint32 campaignId, address relay)
        external
        view
        returns (uint96 claimed, uint32 period, uint96 inPeriod, bool vouchered);

    /// @notice Whether a pass was redeemed here.
    /// @param pass SHA-256 of its signed message
    /// @return True for ever once it was, whatever the tick
    function isRedeemed(bytes32 pass) external view returns (bool);

    /// @notice What a campaign has paid to all relays for a period.
    /// @param campaignId The campaign
    /// @param period The epoch
    /// @return In the token's smallest unit, at most the campaign's `periodCap`
    function paidInPeriod(uint32 campaignId, uint32 period) external view returns (uint96);

    /// @notice Seconds after a period's end in which it can be claimed; immutable.
    /// @return Less than `WITHDRAWAL_NOTICE`
    function CLAIM_WINDOW() external view returns (uint40);

    /// @notice Seconds between `requestWithdrawal` and `finishWithdrawal`; immutable.
    /// @return More than `CLAIM_WINDOW`
    function WITHDRAWAL_NOTICE() external view returns (uint40);

    /// @notice Epochs in a term; immutable.
    /// @return Not zero
    function TERM_LENGTH() external view returns (uint32);

    /// @notice The Channels that hold the budgets; immutable.
    /// @return Its address
    function CHANNELS() external view returns (IChannels);

    /// @notice The registry whose beacons close the setting of keys and draw passes' relays; immutable.
    /// @return Its address
    function REGISTRY() external view returns (IRelayRegistry);

    /// @notice The network that names the hop price; immutable.
    /// @return Its address
    function NETWORK() external view returns (INetwork);
}
