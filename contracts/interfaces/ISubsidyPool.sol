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
/// term (kind 2) is vouched for in an epoch of the signer's choice, usually the term's last.
/// @dev Trust: nobody has a special right here; there is no owner, no proxy and no pause. A relay relies on the campaign's
/// signer for vouchers, and on the budget less the pending withdrawal, both in `campaign`, for their worth. Changing the
/// signer takes effect at once (a stolen key must not sign on), so vouchers not yet claimed have to be signed again.
interface ISubsidyPool {
    /// @notice A sponsor's budget and its limits.
    /// @param signer Signs pool vouchers and may set keys
    /// @param relayCap The most that one relay can claim for one period
    /// @param periodCap The most that all relays together can claim for one period
    /// @param budget What is left
    /// @param withdrawableAt When the pending withdrawal can be finished; zero when none is requested
    /// @param sponsor Created the campaign; withdraws, and names the signer
    /// @param withdrawal What the sponsor has asked back; relays cannot count on this part of the budget
    struct Campaign {
        address signer;
        uint96 relayCap;
        uint96 periodCap;
        uint96 budget;
        uint40 withdrawableAt;
        address sponsor;
        uint96 withdrawal;
    }

    /// @notice Thrown when the pool is deployed with a withdrawal notice not longer than the claim window, or with terms
    /// of no epochs.
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
    /// @notice Thrown when a key hash is zero.
    error InvalidKey();
    /// @notice Thrown when the period has its key already.
    error KeyAlreadySet();
    /// @notice Thrown when the beacon of the period's first epoch is drawn already.
    /// @param firstEpoch The first epoch of the period
    error KeyTooLate(uint32 firstEpoch);
    /// @notice Thrown when a pool voucher's signature is malformed, not canonical (high s), or not the signer's.
    error InvalidSignature();
    /// @notice Thrown when a voucher is for a period that has not begun.
    /// @param period The voucher's period
    error PeriodInFuture(uint32 period);
    /// @notice Thrown when the relay has already claimed for a later period.
    /// @param period The voucher's period
    /// @param latest The period last claimed for
    error PeriodTooOld(uint32 period, uint32 latest);
    /// @notice Thrown when the period ended longer ago than the claim window.
    /// @param period The voucher's period
    /// @param closedAt The last second in which it could be claimed
    error ClaimWindowOver(uint32 period, uint256 closedAt);
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
    /// @notice Emitted when a relay is paid.
    /// @param campaign Whose budget paid
    /// @param relay Whose account was credited
    /// @param period The voucher's period
    /// @param amount What was paid now
    /// @param claimed All-time total paid by this campaign to this relay
    event PoolClaimed(uint32 indexed campaign, address indexed relay, uint32 period, uint96 amount, uint96 claimed);
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
    event SignerChanged(uint32 indexed campaign, address indexed signer);

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

    /// @notice Replaces the signer, at once. Only the sponsor.
    /// @param campaignId The campaign
    /// @param signer The new signer
    function setSigner(uint32 campaignId, address signer) external;

    /// @notice Pays a relay what a voucher's total exceeds what it was paid before, within the budget, what `relayCap`
    /// leaves for this relay and period, and what `periodCap` leaves for the period. What a limit holds back is not lost:
    /// the same total pays it later, under a later period's voucher or after the budget was raised. Anyone may submit it;
    /// with nothing (more) to pay it changes nothing and returns 0.
    /// @param campaignId Who pays
    /// @param relay The operator that is paid
    /// @param period The epoch that the payment counts in; not in the future, not before the relay's last, and not ended
    /// longer than the claim window ago
    /// @param cumulative All-time total owed by this campaign to this relay
    /// @param signature The signer's EIP-712 signature r . s . v over the PoolVoucher, 65 bytes, low s
    /// @return paid What was credited to the relay's account in Channels
    function claim(uint32 campaignId, address relay, uint32 period, uint96 cumulative, bytes calldata signature)
        external
        returns (uint96 paid);

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
    function campaign(uint32 id) external view returns (Campaign memory);

    /// @notice How many campaigns were created; also the number of the newest.
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

    /// @notice What a campaign has paid to a relay.
    /// @param campaignId The campaign
    /// @param relay The operator
    /// @return claimed All-time total
    /// @return period The period last claimed for
    /// @return inPeriod What was paid for that period
    function claimedBy(uint32 campaignId, address relay)
        external
        view
        returns (uint96 claimed, uint32 period, uint96 inPeriod);

    /// @notice What a campaign has paid to all relays for a period.
    /// @param campaignId The campaign
    /// @param period The epoch
    function paidInPeriod(uint32 campaignId, uint32 period) external view returns (uint96);

    /// @notice Seconds after a period's end in which it can be claimed; immutable.
    function CLAIM_WINDOW() external view returns (uint40);

    /// @notice Seconds between `requestWithdrawal` and `finishWithdrawal`; immutable.
    function WITHDRAWAL_NOTICE() external view returns (uint40);

    /// @notice Epochs in a term; immutable.
    function TERM_LENGTH() external view returns (uint32);

    /// @notice The Channels that hold the budgets; immutable.
    function CHANNELS() external view returns (IChannels);

    /// @notice The registry whose beacons close the setting of keys; immutable.
    function REGISTRY() external view returns (IRelayRegistry);

    /// @notice The network that names the hop price; immutable.
    function NETWORK() external view returns (INetwork);
}
