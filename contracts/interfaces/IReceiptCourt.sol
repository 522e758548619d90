// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "./IChannels.sol";
import {IRelayRegistry} from "./IRelayRegistry.sol";

/// @title What a payee does when a payer signs no more vouchers, and what anyone does about a relay that signs two keys
/// @notice A *case* is one batch of receipts, any number of them, claimed by a commitment and proven by random samples.
///
/// 1. `open`: the payee commits to the root and sum of its receipts' Merkle-sum tree and leaves a bond of half the amount.
/// 2. `record`, from the fifth block after it on and within 256 more: the hash of block `openBlock + 4` becomes the seed.
/// 3. `answer`, within the answer window: somebody shows the payer's own voucher for as much as is claimed. Up to the case's
///    batch: the case is over, the bond returns, and the voucher is judged. Up to a later batch: the case goes on, but costs
///    nothing any more. The payee can end it by either, also later, if it forgoes the costs.
/// 4. `finish`, once the answer window is over: the payee opens the receipts at 16 points drawn from the seed. All good: base
///    total + amount + `COST` (unless the payer has admitted as much) is judged, and the bond returns.
/// 5. `expire`, when no seed was recorded or the finish window is over: the bond goes to the payer.
///
/// A *judgement* is an absolute total of the same series as the payer's vouchers: `Channels.claimJudgement` pays it like
/// one. What the channel still lacks after `GRACE` is taken from the payer's stake by `collectStake`.
///
/// Trees. Leaf s of the locks' tree is keccak256(lock 20 . value u64), of the receipts' tree keccak256(response 32 . value
/// u64), or keccak256 of 40 zero bytes for a ticket without its response; a leaf that is not there is 32 zero bytes.
/// Locks' node = keccak256(left . right); receipts' node = keccak256(left hash . left sum u64 . right hash . right sum u64).
/// Both have ceil(log2(count)) levels. Values and sums are in units of the hop price that the payer signed with the batch.
/// @dev Trust: there is no owner, no proxy and no pause. A payee cannot claim more than the payer signed the batch for. One
/// that lacks the receipts for a share f of its claim is caught with probability 1 - (1 - f)^16, and each new draw costs it
/// a bond, or the batch, if it shows a voucher up to a later one instead of a proof (unless an earlier judgement is as
/// large). Who builds block `openBlock + 4` chooses its hash among as many as it can compute: together with the payee it
/// passes after about (1 - f)^-16 of them, which is a hundred for a quarter, and 2^32 for three quarters. So a batch must be
/// worth less than such a block: the limits that payees and payers give each other see to that. A payer and a payee that are
/// one party can make any judgement between them: it reaches no further than the payer's own channel and stake, but of that
/// it can have all but the penalty before others ask.
interface IReceiptCourt {
    /// @notice Time limits, in seconds, and costs.
    /// @param answerWindow From `open`: how long the payer has to show its voucher; after it only the payee can
    /// @param finishWindow From the end of the answer window: how long the payee can open its samples
    /// @param grace From a judgement: how long the payer has to fill its channel before its stake is used
    /// @param cost What a judgement adds for the payee's costs, in the token's smallest unit
    struct Parameters {
        uint40 answerWindow;
        uint40 finishWindow;
        uint40 grace;
        uint96 cost;
    }

    /// @notice What a claim builds on. Batches between it and the case's are not paid by the case.
    /// @param total All-time total in the token's smallest unit
    /// @param uptoBatch The last batch it covers, less than the case's
    /// @param signature The payer's over Voucher(payer, payee, total, uptoBatch); empty for the newest judgement, and for
    /// nothing: a total of zero, up to batch 0
    struct Base {
        uint96 total;
        uint32 uptoBatch;
        bytes signature;
    }

    /// @notice A batch as the payer signed it.
    /// @param number Counts up from 1 on each channel
    /// @param count Tickets, not zero
    /// @param value Of all these tickets, in units of the hop price: no more of them can be claimed
    /// @param price Hop price in the token's smallest unit, not zero
    /// @param locksRoot Root of the locks' tree
    struct Batch {
        uint32 number;
        uint32 count;
        uint64 value;
        uint96 price;
        bytes32 locksRoot;
    }

    /// @notice A case. The contract stores only its hash: callers bring it from the event.
    /// @param payer Who signs no more
    /// @param payee Who opened it
    /// @param base All-time total before the batch, in the token's smallest unit
    /// @param amount Sum of the receipts, in units of the hop price
    /// @param batch The batch
    /// @param receiptsRoot Root of the receipts' tree
    /// @param openedAt Time of the opening
    /// @param openBlock Block of the opening
    struct Case {
        address payer;
        address payee;
        uint96 base;
        uint64 amount;
        Batch batch;
        bytes32 receiptsRoot;
        uint40 openedAt;
        uint64 openBlock;
    }

    /// @notice The newest judgement between two accounts; one slot.
    /// @param total All-time total in the token's smallest unit
    /// @param number The last batch that it covers
    /// @param judgedAt When it was made
    struct Judgement {
        uint96 total;
        uint32 number;
        uint40 judgedAt;
    }

    /// @notice Thrown when the contracts do not name each other, or the time limits contradict those of the contracts.
    error InvalidParameters();
    /// @notice Thrown when a case between the two accounts is open already.
    error CaseOpen();
    /// @notice Thrown when there is no such case: the data differ from the one opened, or it is over.
    error NoCase();
    /// @notice Thrown when a signature is malformed, not canonical (high s), or not by whom it has to be.
    error InvalidSignature();
    /// @notice Thrown when a claim's base covers its batch, or is neither signed nor the newest judgement.
    error InvalidBase();
    /// @notice Thrown when a batch has no tickets or no price, a claim has no amount, or all that is claimed was paid before.
    error NothingClaimed();
    /// @notice Thrown when more is claimed than the payer signed the batch for.
    /// @param value Of the batch's tickets, in units of the hop price
    error ExceedsBatch(uint64 value);
    /// @notice Thrown when a case is about a batch that a judgement covers.
    /// @param number The last batch that is judged
    error AlreadyJudged(uint32 number);
    /// @notice Thrown when base + amount + costs exceed 96 bits.
    error TotalTooLarge();
    /// @notice Thrown when the seed's block is not there yet, or is more than 256 blocks old.
    /// @param seedBlock The block whose hash is the seed
    error SeedBlockUnavailable(uint256 seedBlock);
    /// @notice Thrown when the seed is recorded already: it is never drawn again.
    error SeedRecorded();
    /// @notice Thrown when a case without a seed is to be finished.
    error SeedMissing();
    /// @notice Thrown when a case is to be finished before or after its time.
    /// @param from First second in which it can be finished
    /// @param until First second in which it cannot any more
    error OutsideFinishWindow(uint256 from, uint256 until);
    /// @notice Thrown when samples do not prove the claim.
    error InvalidSamples();
    /// @notice Thrown when anyone but the payee answers after the answer window: the case is to be proven now.
    /// @param until First second after the window
    error AnswerWindowOver(uint256 until);
    /// @notice Thrown when an answer's voucher does not cover the case's batch and amount.
    error InsufficientAnswer();
    /// @notice Thrown when a case can still be recorded or finished.
    error CaseRunning();
    /// @notice Thrown when nothing is judged, or the channel holds all that is.
    error NothingLacking();
    /// @notice Thrown when the payer still has time to fill its channel.
    /// @param until First second in which its stake can be used
    error GraceRunning(uint256 until);
    /// @notice Thrown when the payer has no stake, or nothing is left of it that judgements can take.
    error NoStake();
    /// @notice Thrown when the channel's deposit changed while the stake was taken, which only a token that calls back can
    /// bring about.
    error ChannelChanged();
    /// @notice Thrown when two descriptors are no proof: the keys are the same.
    error SameKey();
    /// @notice Thrown when there is no relay with the id.
    /// @param relay The id
    error UnknownRelay(uint32 relay);

    /// @notice Emitted when a case is opened.
    /// @param payer Who signs no more
    /// @param payee Who opened it
    /// @param case_ Everything that later calls have to bring
    event CaseOpened(address indexed payer, address indexed payee, Case case_);
    /// @notice Emitted when a case has its seed.
    /// @param payer Against whom
    /// @param payee Who opened it
    /// @param seed The hash of block `openBlock + 4`
    event SeedDrawn(address indexed payer, address indexed payee, bytes32 seed);
    /// @notice Emitted when a voucher has ended a case: it is judged, if no total as large is.
    /// @param payer Who signed it
    /// @param payee Who opened the case
    /// @param cumulative The voucher's total
    /// @param uptoBatch What the voucher covers
    /// @param signature The voucher's signature
    event CaseAnswered(
        address indexed payer, address indexed payee, uint96 cumulative, uint32 uptoBatch, bytes signature
    );
    /// @notice Emitted when a voucher up to a later batch was shown: the case goes on, without costs.
    /// @param payer Who signed it
    /// @param payee Who opened the case
    /// @param cumulative The voucher's total
    /// @param uptoBatch What the voucher covers
    /// @param signature The voucher's signature
    event CaseAdmitted(
        address indexed payer, address indexed payee, uint96 cumulative, uint32 uptoBatch, bytes signature
    );
    /// @notice Emitted when something is judged.
    /// @param payer Against whom
    /// @param payee For whom
    /// @param number The last batch covered
    /// @param total All-time total
    event Judged(address indexed payer, address indexed payee, uint32 number, uint96 total);
    /// @notice Emitted when a case is over without a judgement.
    /// @param payer Who got the bond
    /// @param payee Who lost it
    /// @param bond How much
    event CaseExpired(address indexed payer, address indexed payee, uint96 bond);
    /// @notice Emitted when a payer's stake has paid what its channel lacked.
    /// @param payer Whose stake
    /// @param payee Who was paid
    /// @param relay The payer's relay
    /// @param amount How much of the stake was taken
    event StakeCollected(address indexed payer, address indexed payee, uint32 indexed relay, uint96 amount);
    /// @notice Emitted when a relay is shown to have signed two packet keys for one epoch.
    /// @param relay The relay
    /// @param epoch The epoch
    /// @param reporter Who has shown it
    event Equivocated(uint32 indexed relay, uint32 indexed epoch, address indexed reporter);

    /// @notice Opens a case for the caller as payee, who leaves a bond of half the amount from its balance in Channels. A
    /// pending close of the channel is held until the case is over. What was paid is no case: a payer can see to that itself,
    /// by submitting its own newest voucher. Nor is what was judged: a batch is judged once.
    /// @param payer Who signs no more vouchers
    /// @param base What was owed before
    /// @param batch The batch
    /// @param batchSignature The payer's over Batch(payer, caller, number, count, value, price, locksRoot)
    /// @param receiptsRoot Root of the receipts' tree
    /// @param amount Its sum, in units of the hop price, at most the batch's value
    function open(
        address payer,
        Base calldata base,
        Batch calldata batch,
        bytes calldata batchSignature,
        bytes32 receiptsRoot,
        uint64 amount
    ) external;

    /// @notice Records the seed of a case. Anyone.
    /// @param case_ The case
    function record(Case calldata case_) external;

    /// @notice Answers a case by the payer's voucher for at least what is claimed. One up to the case's batch ends the case: the
    /// bond returns, and the voucher is judged as it stands, so that the payer's stake stands behind it. One up to a later
    /// batch spares the payer the costs, and the case goes on; only if the payee shows it, it ends the case, too. Anyone
    /// within the answer window, the payee until the end.
    /// @param case_ The case
    /// @param cumulative The voucher's total, at least base + amount
    /// @param uptoBatch The voucher's last batch, at least the case's
    /// @param signature The payer's over Voucher(payer, payee, cumulative, uptoBatch)
    function answer(Case calldata case_, uint96 cumulative, uint32 uptoBatch, bytes calldata signature) external;

    /// @notice Proves a case by its samples and makes the judgement. Anyone who has them.
    /// @param case_ The case
    /// @param samples The receipts under the points drawn and the nodes beside their paths; see ReceiptSamples
    function finish(Case calldata case_, bytes calldata samples) external;

    /// @notice Gives the bond of a case that was not recorded or not finished in time to the payer. Anyone.
    /// @param case_ The case
    function expire(Case calldata case_) external;

    /// @notice Takes what the channel lacks of a judgement from the payer's stake and pays it to the payee, `GRACE` after
    /// the judgement. The payer's relay loses its place. Anyone.
    /// @param payer Against whom it was judged
    /// @param payee Who is paid
    /// @return taken What the stake gave; less than what is lacking if no more is left
    function collectStake(address payer, address payee) external returns (uint96 taken);

    /// @notice Shows two descriptors that one relay signed for one epoch with different packet keys. The relay loses its
    /// place and a fixed part of its stake, of which the caller gets a share by `RelayRegistry.settlePenalty`. Anyone.
    /// @param relay The relay's id
    /// @param epoch The epoch
    /// @param keys The two X25519 packet keys
    /// @param signature The operator's over Descriptor(relay, epoch, first key), domain "Mixpay RelayRegistry"
    /// @param otherSignature The same over the second key
    function proveEquivocation(
        uint32 relay,
        uint32 epoch,
        bytes32[2] calldata keys,
        bytes calldata signature,
        bytes calldata otherSignature
    ) external;

    /// @notice The newest judgement; all zero when there is none.
    /// @param payer Against whom
    /// @param payee For whom
    /// @return Total, last batch covered, and when it was made
    function judgement(address payer, address payee) external view returns (Judgement memory);

    /// @notice What is stored of an open case.
    /// @param payer Against whom
    /// @param payee Who opened it
    /// @return caseHash keccak256 of the ABI-encoded case; zero when none is open
    /// @return seed Its seed; zero before it is recorded
    function openCase(address payer, address payee) external view returns (bytes32 caseHash, bytes32 seed);

    /// @notice Seconds from `open` in which a case cannot be finished yet; immutable.
    /// @return Not zero
    function ANSWER_WINDOW() external view returns (uint40);

    /// @notice Seconds from the end of the answer window in which a case can be finished; immutable.
    /// @return Not zero
    function FINISH_WINDOW() external view returns (uint40);

    /// @notice Seconds from a judgement until the payer's stake can be used; immutable.
    /// @return A length of time
    function GRACE() external view returns (uint40);

    /// @notice What a judgement adds for the payee's costs, in the token's smallest unit; immutable.
    /// @return An amount
    function COST() external view returns (uint96);

    /// @notice The channels that judgements are claimed from; immutable.
    /// @return Its address; it names this court in turn
    function CHANNELS() external view returns (IChannels);

    /// @notice The registry that holds the stakes; immutable.
    /// @return Its address; it names this court in turn
    function REGISTRY() external view returns (IRelayRegistry);
}
