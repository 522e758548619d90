// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {IReceiptCourt} from "./interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "./interfaces/IRelayRegistry.sol";
import {ReceiptSamples} from "./lib/ReceiptSamples.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title ReceiptCourt
/// @notice See IReceiptCourt.
contract ReceiptCourt is IReceiptCourt {
    /// @dev What is stored of an open case. `admitted`: the payer has signed for as much, up to a later batch.
    struct OpenCase {
        bytes32 caseHash;
        bytes32 seed;
        bool admitted;
    }

    /// @dev The seed is the hash of this many blocks after the opening.
    uint256 private constant _SEED_DELAY = 4;

    /// @dev Blocks whose hash the chain still knows.
    uint256 private constant _KNOWN_BLOCKS = 256;

    bytes32 private constant _VOUCHER_TYPEHASH =
        keccak256("Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)");
    bytes32 private constant _BATCH_TYPEHASH = keccak256(
        "Batch(address payer,address payee,uint32 number,uint32 count,uint64 value,uint96 price,bytes32 locksRoot)"
    );
    bytes32 private constant _DESCRIPTOR_TYPEHASH =
        keccak256("Descriptor(uint32 relay,uint32 epoch,bytes32 packetKey)");

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc IReceiptCourt
    IChannels public immutable CHANNELS;
    /// @inheritdoc IReceiptCourt
    IRelayRegistry public immutable REGISTRY;
    /// @inheritdoc IReceiptCourt
    uint40 public immutable ANSWER_WINDOW;
    /// @inheritdoc IReceiptCourt
    uint40 public immutable FINISH_WINDOW;
    /// @inheritdoc IReceiptCourt
    uint40 public immutable GRACE;
    /// @inheritdoc IReceiptCourt
    uint96 public immutable COST;

    // ---------------------------------------------------------------- storage

    mapping(address payer => mapping(address payee => OpenCase)) private _cases;
    mapping(address payer => mapping(address payee => Judgement)) private _judgements;

    // ---------------------------------------------------------------- cases

    /// @param channels Pays judgements; must name this court
    /// @param registry Holds the stakes; must name this court
    /// @param parameters Both windows together at most the channels' notice, and with the grace less than the unbonding
    constructor(IChannels channels, IRelayRegistry registry, Parameters memory parameters) {
        uint256 windows = uint256(parameters.answerWindow) + parameters.finishWindow;
        bool named = address(channels.COURT()) == address(this) && registry.COURT() == address(this)
            && registry.CHANNELS() == channels && registry.TOKEN() == channels.TOKEN();
        bool ordered = parameters.answerWindow != 0 && parameters.finishWindow != 0 && windows <= channels.NOTICE()
            && uint256(channels.NOTICE()) + windows + parameters.grace < registry.UNBONDING();
        if (!named || !ordered) revert InvalidParameters();

        CHANNELS = channels;
        REGISTRY = registry;
        ANSWER_WINDOW = parameters.answerWindow;
        FINISH_WINDOW = parameters.finishWindow;
        GRACE = parameters.grace;
        COST = parameters.cost;
    }

    /// @inheritdoc IReceiptCourt
    function open(
        address payer,
        Base calldata base,
        Batch calldata batch,
        bytes calldata batchSignature,
        bytes32 receiptsRoot,
        uint64 amount
    ) external {
        OpenCase storage stored = _cases[payer][msg.sender];
        if (stored.caseHash != 0) revert CaseOpen();
        if (batch.count == 0 || batch.price == 0 || amount == 0) revert NothingClaimed();
        // A claim of more than the payer can owe, it could not admit: a lucky draw would cost it the costs all the same.
        if (amount > batch.value) revert ExceedsBatch(batch.value);
        bytes32 domain = CHANNELS.DOMAIN_SEPARATOR();
        _checkBase(domain, payer, base, batch.number);
        _checkBatch(domain, payer, batch, batchSignature);

        Case memory case_ = Case({
            payer: payer,
            payee: msg.sender,
            base: base.total,
            amount: amount,
            batch: batch,
            receiptsRoot: receiptsRoot,
            openedAt: uint40(block.timestamp),
            openBlock: uint64(block.number)
        });
        uint256 claimed = uint256(amount) * batch.price;
        _checkTotal(payer, base.total + claimed);
        stored.caseHash = keccak256(abi.encode(case_));

        emit CaseOpened(payer, msg.sender, case_);

        CHANNELS.takeBond(msg.sender, _bond(claimed));
        CHANNELS.hold(payer, msg.sender, uint40(_end(case_.openedAt)));
    }

    /// @inheritdoc IReceiptCourt
    function record(Case calldata case_) external {
        OpenCase storage stored = _openCase(case_);
        if (stored.seed != 0) revert SeedRecorded();
        uint256 seedBlock = case_.openBlock + _SEED_DELAY;
        bytes32 seed = blockhash(seedBlock);
        if (seed == 0) revert SeedBlockUnavailable(seedBlock);
        stored.seed = seed;

        emit SeedDrawn(case_.payer, case_.payee, seed);
    }

    /// @inheritdoc IReceiptCourt
    function answer(Case calldata case_, uint96 cumulative, uint32 uptoBatch, bytes calldata signature) external {
        OpenCase storage stored = _openCase(case_);
        (address payer, address payee) = (case_.payer, case_.payee);
        uint256 until = _provableFrom(case_.openedAt);
        if (block.timestamp >= until && msg.sender != payee) revert AnswerWindowOver(until);
        uint32 number = case_.batch.number;
        if (uptoBatch < number || cumulative < case_.base + _claimed(case_)) revert InsufficientAnswer();
        _checkVoucher(CHANNELS.DOMAIN_SEPARATOR(), payer, payee, cumulative, uptoBatch, signature);
        // A total up to a later batch says nothing of the case's: as its judgement, later batches would be paid twice by cases
        // upon it. As a judgement up to that batch, it would take from the payee what those before it can build on.
        if (uptoBatch != number && msg.sender != payee) {
            stored.admitted = true;

            emit CaseAdmitted(payer, payee, cumulative, uptoBatch, signature);
            return;
        }
        _end(stored);

        emit CaseAnswered(payer, payee, cumulative, uptoBatch, signature);

        _judge(payer, payee, cumulative, uptoBatch);
        CHANNELS.move(payee, _bond(_claimed(case_)));
    }

    /// @inheritdoc IReceiptCourt
    function finish(Case calldata case_, bytes calldata samples) external {
        OpenCase storage stored = _openCase(case_);
        bytes32 seed = stored.seed;
        if (seed == 0) revert SeedMissing();
        (uint256 from, uint256 until) = (_provableFrom(case_.openedAt), _end(case_.openedAt));
        if (block.timestamp < from || block.timestamp >= until) revert OutsideFinishWindow(from, until);
        Batch calldata batch = case_.batch;
        bool proven =
            ReceiptSamples.prove(samples, seed, case_.receiptsRoot, batch.locksRoot, batch.count, case_.amount);
        if (!proven) revert InvalidSamples();
        uint256 total = case_.base + _claimed(case_) + (stored.admitted ? 0 : COST);
        _end(stored);

        _judge(case_.payer, case_.payee, total, batch.number);
        CHANNELS.move(case_.payee, _bond(_claimed(case_)));
    }

    /// @inheritdoc IReceiptCourt
    function expire(Case calldata case_) external {
        OpenCase storage stored = _openCase(case_);
        bool unrecorded = stored.seed == 0 && block.number > case_.openBlock + _SEED_DELAY + _KNOWN_BLOCKS;
        if (!unrecorded && block.timestamp < _end(case_.openedAt)) revert CaseRunning();
        uint96 bond = _bond(_claimed(case_));
        _end(stored);

        emit CaseExpired(case_.payer, case_.payee, bond);

        CHANNELS.move(case_.payer, bond);
    }

    // ---------------------------------------------------------------- stakes

    /// @inheritdoc IReceiptCourt
    function collectStake(address payer, address payee) external returns (uint96 taken) {
        Judgement memory judged = _judgements[payer][payee];
        (uint96 deposited,) = _channel(payer, payee);
        if (judged.total <= deposited) revert NothingLacking();
        uint256 until = uint256(judged.judgedAt) + GRACE;
        if (block.timestamp < until) revert GraceRunning(until);

        uint32 relay = REGISTRY.relayOf(payer);
        taken = REGISTRY.slash(relay, judged.total - deposited);
        if (taken == 0) revert NoStake();
        // The stake comes as tokens: one that calls back could have had it collected, or the channel filled, meanwhile.
        (uint96 still,) = _channel(payer, payee);
        if (still != deposited) revert ChannelChanged();

        emit StakeCollected(payer, payee, relay, taken);

        CHANNELS.fundFromStake(payer, payee, taken);
        // slither-disable-next-line unused-return (Channels says in its event what is paid)
        CHANNELS.claimJudgement(payer, payee);
    }

    /// @inheritdoc IReceiptCourt
    function proveEquivocation(
        uint32 relay,
        uint32 epoch,
        bytes32[2] calldata keys,
        bytes calldata signature,
        bytes calldata otherSignature
    ) external {
        if (keys[0] == keys[1]) revert SameKey();
        address operator = REGISTRY.relay(relay).operator;
        if (operator == address(0)) revert UnknownRelay(relay);
        bytes32 domain = REGISTRY.DOMAIN_SEPARATOR();
        _check(domain, keccak256(abi.encode(_DESCRIPTOR_TYPEHASH, relay, epoch, keys[0])), operator, signature);
        _check(domain, keccak256(abi.encode(_DESCRIPTOR_TYPEHASH, relay, epoch, keys[1])), operator, otherSignature);

        emit Equivocated(relay, epoch, msg.sender);

        REGISTRY.condemn(relay, msg.sender);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IReceiptCourt
    function judgement(address payer, address payee) external view returns (Judgement memory) {
        return _judgements[payer][payee];
    }

    /// @inheritdoc IReceiptCourt
    function openCase(address payer, address payee) external view returns (bytes32 caseHash, bytes32 seed) {
        OpenCase storage stored = _cases[payer][payee];
        return (stored.caseHash, stored.seed);
    }

    // ---------------------------------------------------------------- internal

    /// @dev The stored part of a case that is open just as the caller says.
    function _openCase(Case calldata case_) private view returns (OpenCase storage stored) {
        stored = _cases[case_.payer][case_.payee];
        if (stored.caseHash != keccak256(abi.encode(case_))) revert NoCase();
    }

    /// @dev Forgets a case that is over.
    function _end(OpenCase storage stored) private {
        stored.caseHash = 0;
        stored.seed = 0;
        stored.admitted = false;
    }

    /// @dev Keeps a total if it is the largest: payees have a right to the largest only.
    function _judge(address payer, address payee, uint256 amount, uint32 number) private {
        if (amount <= _judgements[payer][payee].total) return;
        uint96 total = SafeCast.toUint96(amount);
        _judgements[payer][payee] = Judgement(total, number, uint40(block.timestamp));

        emit Judged(payer, payee, number, total);

        CHANNELS.markJudged(payer, payee);
    }

    /// @dev The total claimed must be more than was paid, and with the costs no more than a total can be.
    function _checkTotal(address payer, uint256 total) private view {
        (, uint96 paid) = _channel(payer, msg.sender);
        if (total <= paid) revert NothingClaimed();
        if (total + COST > type(uint96).max) revert TotalTooLarge();
    }

    /// @dev What is claimed must be of a batch after all that were judged, and build on a voucher or judgement for an earlier
    /// one, or on nothing. Batches that are skipped are not paid, so an older base can only claim less.
    function _checkBase(bytes32 domain, address payer, Base calldata base, uint32 number) private view {
        (uint96 total, uint32 uptoBatch) = (base.total, base.uptoBatch);
        if (uptoBatch >= number) revert InvalidBase();
        Judgement storage judged = _judgements[payer][msg.sender];
        if (judged.number >= number) revert AlreadyJudged(judged.number);
        if (base.signature.length != 0) {
            _checkVoucher(domain, payer, msg.sender, total, uptoBatch, base.signature);
        } else if (uptoBatch != 0 || total != 0) {
            if (judged.number != uptoBatch || judged.total != total) revert InvalidBase();
        }
    }

    function _checkBatch(bytes32 domain, address payer, Batch calldata batch, bytes calldata signature) private view {
        bytes32 structHash = keccak256(
            abi.encode(
                _BATCH_TYPEHASH,
                payer,
                msg.sender,
                batch.number,
                batch.count,
                batch.value,
                batch.price,
                batch.locksRoot
            )
        );
        _check(domain, structHash, payer, signature);
    }

    function _checkVoucher(
        bytes32 domain,
        address payer,
        address payee,
        uint96 cumulative,
        uint32 uptoBatch,
        bytes calldata signature
    ) private view {
        _check(
            domain, keccak256(abi.encode(_VOUCHER_TYPEHASH, payer, payee, cumulative, uptoBatch)), payer, signature
        );
    }

    function _check(bytes32 domain, bytes32 structHash, address signer, bytes calldata signature) private view {
        bytes32 digest = Signatures.digestOf(domain, structHash);
        if (!Signatures.isBy(digest, signer, signature)) revert InvalidSignature();
    }

    function _channel(address payer, address payee) private view returns (uint96 deposited, uint96 paid) {
        // slither-disable-next-line unused-return (whether it closes changes nothing here)
        (deposited, paid,) = CHANNELS.channel(payer, payee);
    }

    /// @dev First second in which a case can be finished, and answered by nobody but its payee.
    function _provableFrom(uint40 openedAt) private view returns (uint256) {
        return uint256(openedAt) + ANSWER_WINDOW;
    }

    /// @dev First second in which a case can be finished no more.
    function _end(uint40 openedAt) private view returns (uint256) {
        return _provableFrom(openedAt) + FINISH_WINDOW;
    }

    /// @dev The amount in the token's smallest unit. `open` has checked that totals with it fit 96 bits.
    function _claimed(Case calldata case_) private pure returns (uint256) {
        return uint256(case_.amount) * case_.batch.price;
    }

    /// @dev Half of what is claimed, rounded up.
    function _bond(uint256 claimed) private pure returns (uint96) {
        return SafeCast.toUint96((claimed + 1) / 2);
    }
}
