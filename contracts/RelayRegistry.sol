// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {INetwork} from "./interfaces/INetwork.sol";
import {IRelayRegistry} from "./interfaces/IRelayRegistry.sol";
import {EpochClock} from "./lib/EpochClock.sol";
import {ExactTransfer} from "./lib/ExactTransfer.sol";
import {RelayTree} from "./lib/RelayTree.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title RelayRegistry
/// @notice See IRelayRegistry.
contract RelayRegistry is IRelayRegistry, EIP712, EpochClock {
    using ExactTransfer for IERC20;
    using RelayTree for RelayTree.Tree;
    using SafeERC20 for IERC20;

    /// @dev One slot: what stands under a relay's id. Link key and endpoint stand in its leaf only. The owner stands with
    /// the operator key, whose slot has room.
    struct Seat {
        address operator;
        uint32 position;
        uint40 withdrawableAt;
        bool settled;
    }

    /// @dev One slot: who proved a relay's equivocation, and what judgements took of its stake.
    struct Charges {
        address reporter;
        uint96 taken;
    }

    /// @dev One slot. The owner is zero once the stake is withdrawn; the id stays, so that the key is never used again.
    struct Operator {
        address owner;
        uint32 id;
    }

    /// @dev One slot: how many ids were given, positions used, positions free; and the last epoch frozen.
    struct Counters {
        uint32 ids;
        uint32 positions;
        uint32 freed;
        uint32 frozenEpoch;
    }

    /// @dev A beacon is never zero where an epoch was frozen by a touch.
    struct Snapshot {
        bytes32 root;
        bytes32 beacon;
        uint32 count;
    }

    /// @inheritdoc IRelayRegistry
    uint256 public constant BOUNTY_PERCENT = 5;

    uint256 private constant _MAX_ENDPOINT = 128;
    uint40 private constant _MAX_UNBONDING = 365 days;

    bytes32 private constant _CONSENT_TYPEHASH = keccak256("OperatorConsent(address operator,address owner)");

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc IRelayRegistry
    IERC20 public immutable TOKEN;
    /// @inheritdoc IRelayRegistry
    uint96 public immutable STAKE;
    /// @inheritdoc IRelayRegistry
    uint40 public immutable UNBONDING;
    /// @inheritdoc IRelayRegistry
    uint96 public immutable PENALTY;
    /// @inheritdoc IRelayRegistry
    IChannels public immutable CHANNELS;
    /// @inheritdoc IRelayRegistry
    address public immutable COURT;

    uint32 private immutable _firstEpoch;

    // ---------------------------------------------------------------- storage

    Counters private _counters;
    mapping(uint32 id => Seat) private _seats;
    mapping(address operator => Operator) private _operators;
    mapping(uint32 id => address owner) private _pendingOwners;
    mapping(uint32 id => Charges) private _charges;
    mapping(uint32 epoch => Snapshot) private _snapshots;
    RelayTree.Tree private _tree;

    /// @inheritdoc IRelayRegistry
    uint256 public burnt;

    /// @dev Free positions as a stack whose height stands in the counters. Packed eight to a slot, which a mapping would
    /// not do.
    uint32[1 << 32] private _free;

    // ---------------------------------------------------------------- relays

    /// @param token A plain ERC-20
    /// @param network Gives genesis and epoch length; genesis must not lie in the future
    /// @param stake What every relay stakes, in the token's smallest unit
    /// @param unbonding Seconds between leaving and the end of the stake's bond, not zero, at most 365 days
    /// @param channels The ledger of the same token, into which slashed stakes and bounties are paid
    /// @param court Who judges
    /// @param penalty What a proven equivocation costs, less than the stake: judgements can take the rest
    constructor(
        IERC20 token,
        INetwork network,
        uint96 stake,
        uint40 unbonding,
        IChannels channels,
        address court,
        uint96 penalty
    ) EIP712("Mixpay RelayRegistry", "1") EpochClock(network) {
        bool fits = penalty < stake && unbonding != 0 && unbonding <= _MAX_UNBONDING;
        if (!fits || court == address(0) || channels.TOKEN() != token) revert InvalidParameters();
        TOKEN = token;
        STAKE = stake;
        UNBONDING = unbonding;
        PENALTY = penalty;
        CHANNELS = channels;
        COURT = court;
        uint32 epoch = network.currentEpoch();
        _firstEpoch = epoch;
        _snapshot(epoch, bytes32(0));
    }

    /// @inheritdoc IRelayRegistry
    function register(address operator, bytes32 linkKey, string calldata endpoint, bytes calldata operatorSignature)
        external
        returns (uint32 id)
    {
        _checkContact(linkKey, endpoint);
        if (_operators[operator].id != 0) revert OperatorUsed(operator, _operators[operator].id);
        bytes32 consent = keccak256(abi.encode(_CONSENT_TYPEHASH, operator, msg.sender));
        if (!Signatures.isBy(_hashTypedDataV4(consent), operator, operatorSignature)) revert InvalidSignature();

        freeze();
        uint32 position;
        (id, position) = _assign();
        _operators[operator] = Operator(msg.sender, id);
        _seats[id] = Seat(operator, position, 0, false);
        _setLeaf(position, _leafOf(id, operator, linkKey, endpoint));

        emit Registered(id, position, msg.sender, operator, linkKey, endpoint);

        TOKEN.pull(STAKE);
    }

    /// @inheritdoc IRelayRegistry
    function update(uint32 id, bytes32 linkKey, string calldata endpoint) external {
        _checkContact(linkKey, endpoint);
        Seat storage seat = _seats[id];
        address operator = seat.operator;
        if (msg.sender != operator && msg.sender != _ownerOf(seat)) revert NotOwnerOrOperator();
        if (seat.withdrawableAt != 0) revert RelayHasLeft();

        freeze();
        _setLeaf(seat.position, _leafOf(id, operator, linkKey, endpoint));

        emit Updated(id, linkKey, endpoint);
    }

    /// @inheritdoc IRelayRegistry
    function transferOwnership(uint32 id, address newOwner) external {
        _checkOwner(id);
        _pendingOwners[id] = newOwner;

        emit OwnershipTransferStarted(id, msg.sender, newOwner);
    }

    /// @inheritdoc IRelayRegistry
    function acceptOwnership(uint32 id) external {
        if (msg.sender != _pendingOwners[id]) revert NotPendingOwner();
        Operator storage operator = _operators[_seats[id].operator];
        address previousOwner = operator.owner;
        operator.owner = msg.sender;
        delete _pendingOwners[id];

        emit OwnershipTransferred(id, previousOwner, msg.sender);
    }

    /// @inheritdoc IRelayRegistry
    function leave(uint32 id) external {
        _checkOwner(id);
        Seat storage seat = _seats[id];
        if (seat.withdrawableAt != 0) revert RelayHasLeft();

        _takeOut(id, seat);
    }

    /// @inheritdoc IRelayRegistry
    function withdrawStake(uint32 id, address to) external {
        _checkOwner(id);
        if (to == address(0) || to == address(this)) revert InvalidRecipient();
        Seat storage seat = _seats[id];
        uint40 withdrawableAt = seat.withdrawableAt;
        // slither-disable-next-line incorrect-equality (zero says "none"; nobody can make it miss)
        if (withdrawableAt == 0) revert RelayHasNotLeft();
        if (block.timestamp < withdrawableAt) revert StakeBound(withdrawableAt);

        // An open penalty stays behind, for `settlePenalty`: nothing that a reporter or the ledger does can be in the way here.
        uint96 amount = STAKE - _charges[id].taken - _penalty(id);
        // Without an owner nobody can act for the relay again. An offer of ownership must not outlive it either.
        delete _operators[seat.operator].owner;
        delete _pendingOwners[id];

        emit StakeWithdrawn(id, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    // ---------------------------------------------------------------- judgements

    /// @inheritdoc IRelayRegistry
    function slash(uint32 id, uint96 wanted) external returns (uint96 taken) {
        _checkCourt();
        Seat storage seat = _seats[id];
        if (_ownerOf(seat) == address(0)) return 0;
        Charges storage charges = _charges[id];
        uint96 takenBefore = charges.taken;
        // What a penalty may take is out of reach: a relay could move it out by a judgement of its own making.
        taken = _min(wanted, STAKE - PENALTY - takenBefore);
        if (taken == 0) return 0;

        if (seat.withdrawableAt == 0) _takeOut(id, seat);
        charges.taken = takenBefore + taken;

        emit Slashed(id, taken);

        _payInto(COURT, taken);
    }

    /// @inheritdoc IRelayRegistry
    function condemn(uint32 id, address reporter) external {
        _checkCourt();
        if (reporter == address(0)) revert InvalidRecipient();
        Seat storage seat = _seats[id];
        if (_ownerOf(seat) == address(0)) revert RelayGone();
        Charges storage charges = _charges[id];
        if (charges.reporter != address(0)) revert AlreadyCondemned();

        if (seat.withdrawableAt == 0) _takeOut(id, seat);
        charges.reporter = reporter;

        emit Condemned(id, reporter);
    }

    /// @inheritdoc IRelayRegistry
    function settlePenalty(uint32 id) external {
        Seat storage seat = _seats[id];
        address reporter = _charges[id].reporter;
        if (reporter == address(0)) revert NotCondemned();
        if (seat.settled) revert PenaltyAlreadySettled();

        // casting to 'uint96' is safe because the bounty is a part of the penalty
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 bounty = uint96(uint256(PENALTY) * BOUNTY_PERCENT / 100);
        seat.settled = true;
        burnt += PENALTY - bounty;

        emit PenaltySettled(id, reporter, bounty, PENALTY - bounty);

        if (bounty != 0) _payInto(reporter, bounty);
    }

    // ---------------------------------------------------------------- epochs

    /// @inheritdoc IRelayRegistry
    function freeze() public {
        uint32 epoch = _currentEpoch();
        if (_counters.frozenEpoch > epoch) return;
        (,, bytes32 beacon) = frozen(epoch);
        _snapshot(epoch + 1, beacon);
    }

    /// @inheritdoc IRelayRegistry
    function isFrozen(uint32 epoch) public view returns (bool) {
        return epoch >= _firstEpoch && (epoch <= _counters.frozenEpoch || epoch <= _currentEpoch());
    }

    /// @inheritdoc IRelayRegistry
    function frozen(uint32 epoch) public view returns (bytes32 frozenRoot, uint32 frozenCount, bytes32 beacon) {
        if (!isFrozen(epoch)) revert NotFrozen(epoch);
        uint32 frozenEpoch = _counters.frozenEpoch;
        uint32 drawn = epoch < frozenEpoch ? epoch : frozenEpoch;
        while (_snapshots[drawn].beacon == 0) --drawn;
        Snapshot storage s = _snapshots[drawn];
        (frozenRoot, frozenCount, beacon) = (s.root, s.count, s.beacon);
        if (drawn != epoch) beacon = keccak256(abi.encodePacked(beacon, epoch));
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IRelayRegistry
    function relay(uint32 id) external view returns (Relay memory) {
        Seat storage s = _seats[id];
        bool living = s.operator != address(0) && s.withdrawableAt == 0;
        bytes32 leaf = living ? _tree.leafAt(s.position) : bytes32(0);
        return Relay(_ownerOf(s), s.operator, leaf, s.position, s.withdrawableAt);
    }

    /// @inheritdoc IRelayRegistry
    function stakeLeft(uint32 id) external view returns (uint96) {
        Seat storage seat = _seats[id];
        uint96 penalty = _penalty(id);
        uint96 open = seat.settled ? 0 : penalty;
        return _ownerOf(seat) == address(0) ? open : STAKE - _charges[id].taken - penalty + open;
    }

    /// @inheritdoc IRelayRegistry
    function reporterOf(uint32 id) external view returns (address) {
        return _charges[id].reporter;
    }

    /// @inheritdoc IRelayRegistry
    function relayOf(address operator) external view returns (uint32) {
        return _operators[operator].id;
    }

    /// @inheritdoc IRelayRegistry
    function root() public view returns (bytes32) {
        return _tree.root(_counters.positions);
    }

    /// @inheritdoc IRelayRegistry
    function count() public view returns (uint32) {
        return _counters.positions;
    }

    /// @inheritdoc IRelayRegistry
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---------------------------------------------------------------- internal

    /// @dev Gives the next id, and the position freed last or else a new one.
    function _assign() private returns (uint32 id, uint32 position) {
        Counters memory c = _counters;
        id = ++c.ids;
        position = c.freed != 0 ? _free[--c.freed] : c.positions++;
        _counters = c;
    }

    /// @dev Frees a living relay's position and binds what is left of its stake.
    function _takeOut(uint32 id, Seat storage seat) private {
        freeze();
        uint40 withdrawableAt = uint40(block.timestamp) + UNBONDING;
        uint32 position = seat.position;
        seat.withdrawableAt = withdrawableAt;
        _setLeaf(position, bytes32(0));
        _free[_counters.freed++] = position;

        emit Left(id, position, withdrawableAt);
    }

    /// @dev Puts a leaf at a position in use, or empties it.
    function _setLeaf(uint32 position, bytes32 leaf) private {
        _tree.set(position, _counters.positions, leaf);
    }

    /// @dev Moves tokens into an account's balance in Channels. Approves exactly what is due: no approval stays behind.
    function _payInto(address account, uint96 amount) private {
        TOKEN.forceApprove(address(CHANNELS), amount);
        CHANNELS.depositFor(account, amount);
    }

    /// @dev Fixes an epoch: the tree as it is, and a beacon drawn from the one before and this block's randomness.
    function _snapshot(uint32 epoch, bytes32 previousBeacon) private {
        bytes32 beacon = keccak256(abi.encodePacked(previousBeacon, block.prevrandao));
        Snapshot memory s = Snapshot(root(), beacon, count());
        _snapshots[epoch] = s;
        _counters.frozenEpoch = epoch;

        emit Frozen(epoch, s.root, s.count, s.beacon);
    }

    /// @dev What a relay loses by its equivocation, settled or not; zero if none was proven.
    function _penalty(uint32 id) private view returns (uint96) {
        return _charges[id].reporter == address(0) ? 0 : PENALTY;
    }

    /// @dev Zero when there is no such relay, or its stake was withdrawn. No key gives the zero address, so no operator is.
    function _ownerOf(Seat storage seat) private view returns (address) {
        return _operators[seat.operator].owner;
    }

    function _checkOwner(uint32 id) private view {
        if (msg.sender != _ownerOf(_seats[id])) revert NotOwner();
    }

    function _checkCourt() private view {
        if (msg.sender != COURT) revert NotCourt();
    }

    function _leafOf(uint32 id, address operator, bytes32 linkKey, string calldata endpoint)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(id, operator, linkKey, keccak256(bytes(endpoint))));
    }

    function _min(uint96 a, uint96 b) private pure returns (uint96) {
        return a < b ? a : b;
    }

    function _checkContact(bytes32 linkKey, string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > _MAX_ENDPOINT) revert InvalidEndpoint(length);
        if (linkKey == 0) revert InvalidLinkKey();
    }
}
