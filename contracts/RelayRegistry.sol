// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
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

    /// @dev What stands under a relay's id. Its owner stands with the operator key, whose slot has room: a registration
    /// then writes four new slots for the relay, not five.
    struct Seat {
        address operator;
        uint32 position;
        uint40 withdrawableAt;
        bytes32 linkKey;
        bytes32 endpointHash;
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

    uint256 private constant _MAX_ENDPOINT = 128;

    bytes32 private constant _CONSENT_TYPEHASH = keccak256("OperatorConsent(address operator,address owner)");

    // ---------------------------------------------------------------- immutables

    /// @inheritdoc IRelayRegistry
    IERC20 public immutable TOKEN;
    /// @inheritdoc IRelayRegistry
    uint96 public immutable STAKE;
    /// @inheritdoc IRelayRegistry
    uint40 public immutable UNBONDING;

    uint32 private immutable _firstEpoch;

    // ---------------------------------------------------------------- storage

    Counters private _counters;
    mapping(uint32 id => Seat) private _seats;
    mapping(address operator => Operator) private _operators;
    mapping(uint32 id => address owner) private _pendingOwners;
    mapping(uint32 epoch => Snapshot) private _snapshots;
    RelayTree.Tree private _tree;

    /// @dev Id at each position, zero where it is empty; and the free positions as a stack. Packed eight to a slot, which a
    /// mapping would not do; their lengths stand in the counters.
    uint32[1 << 32] private _idAt;
    uint32[1 << 32] private _free;

    // ---------------------------------------------------------------- relays

    /// @param token A plain ERC-20
    /// @param network Gives genesis and epoch length; genesis must not lie in the future
    /// @param stake What every relay stakes, in the token's smallest unit
    /// @param unbonding Seconds between leaving and the end of the stake's bond
    constructor(IERC20 token, INetwork network, uint96 stake, uint40 unbonding)
        EIP712("Mixpay RelayRegistry", "1")
        EpochClock(network)
    {
        TOKEN = token;
        STAKE = stake;
        UNBONDING = unbonding;
        uint32 epoch = _currentEpoch();
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
        _seats[id] = Seat(operator, position, 0, linkKey, keccak256(bytes(endpoint)));
        _setLeaf(position, id);

        emit Registered(id, position, msg.sender, operator, linkKey, endpoint);

        TOKEN.pull(STAKE);
    }

    /// @inheritdoc IRelayRegistry
    function update(uint32 id, bytes32 linkKey, string calldata endpoint) external {
        _checkContact(linkKey, endpoint);
        Seat storage seat = _seats[id];
        address operator = seat.operator;
        if (msg.sender != operator && msg.sender != _operators[operator].owner) revert NotOwnerOrOperator();
        if (seat.withdrawableAt != 0) revert RelayHasLeft();

        freeze();
        seat.linkKey = linkKey;
        seat.endpointHash = keccak256(bytes(endpoint));
        _setLeaf(seat.position, id);

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

        freeze();
        uint40 withdrawableAt = uint40(block.timestamp) + UNBONDING;
        uint32 position = seat.position;
        seat.withdrawableAt = withdrawableAt;
        _setLeaf(position, 0);
        _free[_counters.freed++] = position;

        emit Left(id, position, withdrawableAt);
    }

    /// @inheritdoc IRelayRegistry
    function withdrawStake(uint32 id, address to) external {
        _checkOwner(id);
        if (to == address(0) || to == address(this)) revert InvalidRecipient();
        uint40 withdrawableAt = _seats[id].withdrawableAt;
        // slither-disable-next-line incorrect-equality (zero says "none"; nobody can make it miss)
        if (withdrawableAt == 0) revert RelayHasNotLeft();
        if (block.timestamp < withdrawableAt) revert StakeBound(withdrawableAt);

        // Without an owner nobody can act for the relay again. An offer of ownership must not outlive it either.
        delete _operators[_seats[id].operator].owner;
        delete _pendingOwners[id];

        emit StakeWithdrawn(id, to, STAKE);

        TOKEN.safeTransfer(to, STAKE);
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
        address owner = _operators[s.operator].owner;
        return Relay(owner, s.operator, s.linkKey, s.endpointHash, s.position, s.withdrawableAt);
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

    // ---------------------------------------------------------------- internal

    /// @dev Gives the next id, and the position freed last or else a new one.
    function _assign() private returns (uint32 id, uint32 position) {
        Counters memory c = _counters;
        id = ++c.ids;
        position = c.freed != 0 ? _free[--c.freed] : c.positions++;
        _counters = c;
    }

    /// @dev Puts a relay, as its seat says, at a position; id zero empties it.
    function _setLeaf(uint32 position, uint32 id) private {
        _idAt[position] = id;
        uint32 positions = _counters.positions;
        uint256 neighbour = RelayTree.neighbourOf(position);
        bytes32 sibling = neighbour < positions ? _leafOf(_idAt[neighbour]) : bytes32(0);
        _tree.set(position, positions, _leafOf(id), sibling);
    }

    /// @dev Fixes an epoch: the tree as it is, and a beacon drawn from the one before and this block's randomness.
    function _snapshot(uint32 epoch, bytes32 previousBeacon) private {
        bytes32 beacon = keccak256(abi.encodePacked(previousBeacon, block.prevrandao));
        Snapshot memory s = Snapshot(root(), beacon, count());
        _snapshots[epoch] = s;
        _counters.frozenEpoch = epoch;

        emit Frozen(epoch, s.root, s.count, s.beacon);
    }

    function _leafOf(uint32 id) private view returns (bytes32) {
        // slither-disable-next-line incorrect-equality (zero says "none"; nobody can make it miss)
        if (id == 0) return bytes32(0);
        Seat storage s = _seats[id];
        return keccak256(abi.encodePacked(id, s.operator, s.linkKey, s.endpointHash));
    }

    function _checkOwner(uint32 id) private view {
        if (msg.sender != _operators[_seats[id].operator].owner) revert NotOwner();
    }

    function _checkContact(bytes32 linkKey, string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > _MAX_ENDPOINT) revert InvalidEndpoint(length);
        if (linkKey == 0) revert InvalidLinkKey();
    }
}
