// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IChannels} from "./IChannels.sol";

/// @title The staked relays, and the tree over them that clients check
/// @notice One relay is one equal unit of stake, so that a uniform draw over relays is a draw weighted by stake.
///
/// The living relays stand in a binary Merkle tree, each at a *position* that is bound to it until it leaves and is
/// reused afterwards; the *id* counts up from 1 and is never reused.
/// - leaf = keccak256(id u32 . operator 20 . linkKey 32 . keccak256(endpoint) 32); an empty position is 32 zero bytes;
/// - node = keccak256(left . right); depth = ceil(log2(count)), where count is the number of positions ever used.
/// The contract keeps the whole tree, so that no caller supplies a proof and nobody's change can make another's call fail.
/// Of a relay's link key and endpoint the contract keeps the leaf only; they stand in the events.
///
/// The first call of `freeze`, `register`, `update` or `leave` in epoch e, or the first eviction by the court, freezes root
/// and count, as they were before that call's change, for epoch e + 1, and in the same step draws the beacon of e + 1. No
/// registration can follow the draw.
///
/// Behind a relay's debts stands its stake less `PENALTY`, until its owner withdraws it. The court takes from it by `slash`
/// what a judgement finds missing in a channel, and condemns by `condemn` a relay that signed two descriptors for one
/// epoch. Either takes a living relay out of the tree as `leave` does. A condemned relay loses `PENALTY`: no judgement takes
/// that, so no relay can bring it to safety by a judgement of its own making.
/// @dev Trust: there is no owner, no proxy and no pause. The court, fixed at deployment, is the only one with a right over
/// others: to evict a relay, and to take up to `STAKE` from it; it can neither delay nor refuse a withdrawal. Of the chain's
/// randomness, the proposer of the block with the first touch of an epoch can bias one draw by giving up its block. The
/// token must be a plain ERC-20: one that takes a fee on transfer is refused; one that can pause or blacklist can freeze
/// stakes. Channels is trusted to credit what is deposited into it.
/// I1: tokens held = sum of `stakeLeft` over all relays + `burnt`, but for tokens sent here without `register`, which are
/// nobody's.
interface IRelayRegistry {
    /// @notice A relay as the registry knows it.
    /// @param owner Holds the stake (cold key); zero once the stake was withdrawn
    /// @param operator Signs for the daemon, and is the relay's account in Channels (hot key)
    /// @param leaf Its leaf in the tree, which binds id, operator, link key and endpoint; zero once the relay has left
    /// @param position Place in the tree, from 0; once the relay has left, the place it had
    /// @param withdrawableAt When the stake can be withdrawn; zero while the relay is registered
    struct Relay {
        address owner;
        address operator;
        bytes32 leaf;
        uint32 position;
        uint40 withdrawableAt;
    }

    /// @notice Thrown when the contract is deployed with a stake of zero, a penalty that is not less, an unbonding of zero or
    /// of more than 365 days, no court, or a ledger of another token.
    error InvalidParameters();
    /// @notice Thrown when the operator key already serves, or once served, another relay.
    /// @param operator The operator key
    /// @param id The relay it belongs to
    error OperatorUsed(address operator, uint32 id);
    /// @notice Thrown when the operator's consent is malformed, not canonical (high s), or not by the operator's key.
    error InvalidSignature();
    /// @notice Thrown when an endpoint is empty or longer than 128 bytes.
    /// @param length Its length in bytes
    error InvalidEndpoint(uint256 length);
    /// @notice Thrown when a link key is zero.
    error InvalidLinkKey();
    /// @notice Thrown when a stake is to be sent to the zero address or to the registry itself, or a bounty is to be nobody's.
    error InvalidRecipient();
    /// @notice Thrown when the caller is not the owner of the relay, or the relay does not exist any more.
    error NotOwner();
    /// @notice Thrown when the caller is neither owner nor operator of the relay.
    error NotOwnerOrOperator();
    /// @notice Thrown when ownership of the relay was not offered to the caller.
    error NotPendingOwner();
    /// @notice Thrown when the relay has left, or was evicted.
    error RelayHasLeft();
    /// @notice Thrown when the stake is asked back by a relay that has not left.
    error RelayHasNotLeft();
    /// @notice Thrown when the stake is still bound.
    /// @param withdrawableAt When it can be withdrawn
    error StakeBound(uint40 withdrawableAt);
    /// @notice Thrown when a call that only the court may make comes from another account.
    error NotCourt();
    /// @notice Thrown when a relay is to be condemned that never was, or whose stake was withdrawn.
    error RelayGone();
    /// @notice Thrown when the relay was condemned before: one penalty is all there is.
    error AlreadyCondemned();
    /// @notice Thrown when the relay was not condemned.
    error NotCondemned();
    /// @notice Thrown when the relay's penalty was settled before.
    error PenaltyAlreadySettled();
    /// @notice Thrown when root, count and beacon of an epoch are not fixed yet, or the registry did not exist then.
    /// @param epoch The epoch asked for
    error NotFrozen(uint32 epoch);

    /// @notice Emitted when a relay registers.
    /// @param id The new relay
    /// @param position Its place in the tree
    /// @param owner Holds the stake
    /// @param operator The relay's hot key and account
    /// @param linkKey Ed25519 key of its links
    /// @param endpoint Where it listens, at most 128 bytes
    event Registered(
        uint32 indexed id,
        uint32 position,
        address indexed owner,
        address indexed operator,
        bytes32 linkKey,
        string endpoint
    );
    /// @notice Emitted when a relay changes its link key or endpoint.
    /// @param id The relay
    /// @param linkKey Its new link key
    /// @param endpoint Its new endpoint
    event Updated(uint32 indexed id, bytes32 linkKey, string endpoint);
    /// @notice Emitted when a relay leaves, or is evicted by the court; its position is empty from now on.
    /// @param id The relay
    /// @param position The place it had
    /// @param withdrawableAt When its stake can be withdrawn
    event Left(uint32 indexed id, uint32 position, uint40 withdrawableAt);
    /// @notice Emitted when a stake is paid back.
    /// @param id The relay
    /// @param to Who received it
    /// @param amount What judgements and penalty left of it
    event StakeWithdrawn(uint32 indexed id, address to, uint96 amount);
    /// @notice Emitted when the court takes from a relay's stake. `Left` goes before it where the relay was living.
    /// @param id The relay
    /// @param amount What was credited to the court's balance in Channels
    event Slashed(uint32 indexed id, uint96 amount);
    /// @notice Emitted when the court condemns a relay. `Left` goes before it where the relay was living.
    /// @param id The relay
    /// @param reporter Who proved its equivocation, and gets the bounty
    event Condemned(uint32 indexed id, address indexed reporter);
    /// @notice Emitted when a condemned relay's penalty is settled.
    /// @param id The relay
    /// @param reporter Who was credited with the bounty in Channels
    /// @param bounty `BOUNTY_PERCENT` of the penalty, rounded down
    /// @param burnt The rest of the penalty, which stays in the registry for ever
    event PenaltySettled(uint32 indexed id, address indexed reporter, uint96 bounty, uint96 burnt);
    /// @notice Emitted when an epoch's root, count and beacon are fixed.
    /// @param epoch The epoch they are for: the one after the call's; at the registry's deployment, the current one
    /// @param root Root of the tree
    /// @param count Number of positions ever used
    /// @param beacon Public randomness of the epoch
    event Frozen(uint32 indexed epoch, bytes32 root, uint32 count, bytes32 beacon);
    /// @notice Emitted when ownership of a relay is offered; offering it to the zero address takes an offer back.
    /// @param id The relay
    /// @param owner Who offers it
    /// @param newOwner Who can accept
    event OwnershipTransferStarted(uint32 indexed id, address indexed owner, address indexed newOwner);
    /// @notice Emitted when ownership of a relay was accepted.
    /// @param id The relay
    /// @param previousOwner Who offered it
    /// @param newOwner Who accepted
    event OwnershipTransferred(uint32 indexed id, address indexed previousOwner, address indexed newOwner);

    /// @notice Registers a relay; the caller becomes its owner and pays the stake, which it has approved before.
    /// @dev An operator key serves one relay, ever: a consent carries no nonce and no deadline, so the owner that it names
    /// could otherwise use it again after `leave` to occupy the key. To come back, use a fresh operator key. A consent that
    /// was given but not used stays good until the key is registered, under whichever owner.
    /// @param operator The relay's hot key
    /// @param linkKey Ed25519 public key of its links, not zero
    /// @param endpoint Where it listens, 1 to 128 bytes
    /// @param operatorSignature The operator's EIP-712 signature r . s . v (65 bytes, low s) over
    /// OperatorConsent(address operator,address owner) in the domain "Mixpay RelayRegistry", version "1"; names the
    /// caller, so nobody can register another's key
    /// @return id The relay's number
    function register(address operator, bytes32 linkKey, string calldata endpoint, bytes calldata operatorSignature)
        external
        returns (uint32 id);

    /// @notice Changes link key and endpoint of a living relay. Owner or operator.
    /// @param id The relay
    /// @param linkKey New link key, not zero
    /// @param endpoint New endpoint, 1 to 128 bytes
    function update(uint32 id, bytes32 linkKey, string calldata endpoint) external;

    /// @notice Offers the relay, with what is left of its stake, to a new owner, who has to accept. Only the owner.
    /// @param id The relay
    /// @param newOwner Who may accept; zero takes the offer back
    function transferOwnership(uint32 id, address newOwner) external;

    /// @notice Accepts a relay that was offered to the caller.
    /// @param id The relay
    function acceptOwnership(uint32 id) external;

    /// @notice Takes the relay out of the tree and starts the unbonding of its stake. Only the owner; needs nobody else.
    /// @param id The relay
    function leave(uint32 id) external;

    /// @notice Pays out what is left of the stake, once the relay has left, or was evicted, and unbonding is over: the stake
    /// less what judgements took, less the penalty of a condemned relay. Only the owner.
    /// @dev Calls the token only, no ledger and no reporter: a penalty that is still open stays behind, for `settlePenalty`.
    /// @param id The relay
    /// @param to Who receives it
    function withdrawStake(uint32 id, address to) external;

    /// @notice Takes what a judgement found missing from a relay's stake, all but `PENALTY` at most, and pays it into the
    /// court's balance in Channels. A living relay is evicted. Only the court.
    /// @dev No error, and no effect, where nothing is left or wanted: an unknown relay, one whose stake was withdrawn, one
    /// that was slashed of all but `PENALTY` before.
    /// @param id The relay
    /// @param wanted What is missing
    /// @return taken What was paid: the smaller of `wanted` and what is left of `STAKE - PENALTY`
    function slash(uint32 id, uint96 wanted) external returns (uint96 taken);

    /// @notice Condemns a relay for a proven equivocation, once. A living relay is evicted. Only the court.
    /// @dev Possible until the stake is withdrawn, so also after `leave`.
    /// @param id The relay
    /// @param reporter Who proved it, not zero
    function condemn(uint32 id, address reporter) external;

    /// @notice Settles the penalty of a condemned relay, before or after its owner's withdrawal: the bounty is paid into the
    /// reporter's balance in Channels, the rest is burnt, that is: it stays here for ever. Anyone.
    /// @param id The relay
    function settlePenalty(uint32 id) external;

    /// @notice Fixes root, count and beacon of the next epoch, if nothing in this epoch has done it yet. Anyone.
    function freeze() external;

    /// @notice A relay by its id; all zero when there is none.
    /// @param id The relay
    /// @return Owner, operator, leaf, position, and when its stake can be withdrawn
    function relay(uint32 id) external view returns (Relay memory);

    /// @notice What the registry still holds of a relay's stake: nothing once it was withdrawn, but for a condemned relay's
    /// penalty, until that is settled.
    /// @param id The relay
    /// @return In the token's smallest unit, at most `STAKE`
    function stakeLeft(uint32 id) external view returns (uint96);

    /// @notice Who proved a relay's equivocation; zero when it was not condemned.
    /// @param id The relay
    /// @return Who gets, or got, the bounty
    function reporterOf(uint32 id) external view returns (address);

    /// @notice The relay that an operator key serves or served.
    /// @param operator The hot key
    /// @return id Zero when the key was never used
    function relayOf(address operator) external view returns (uint32 id);

    /// @notice Root over the relays as they are now; what clients follow is `frozen`.
    /// @return 32 zero bytes as long as no relay was ever registered
    function root() external view returns (bytes32);

    /// @notice Number of positions ever used.
    /// @return Empty ones included; never falls
    function count() external view returns (uint32);

    /// @notice What was fixed for an epoch.
    /// @dev When nothing touched the registry in epoch e, then e + 1 inherits root and count of e (not later changes: they
    /// could have been made in view of the beacon), and its beacon is keccak256(last drawn beacon . epoch u32). A drawn
    /// beacon is keccak256(beacon of the epoch before . prevrandao), with zero before the registry's first.
    /// @param epoch Number of the epoch, from the registry's first on
    /// @return frozenRoot Root of the tree
    /// @return frozenCount Number of positions ever used
    /// @return beacon Public randomness of the epoch
    function frozen(uint32 epoch) external view returns (bytes32 frozenRoot, uint32 frozenCount, bytes32 beacon);

    /// @notice Whether root, count and beacon of an epoch are fixed: true up to the current epoch, and for the next one
    /// once the registry was touched in this one.
    /// @param epoch Number of the epoch
    /// @return False for every epoch before the registry's first
    function isFrozen(uint32 epoch) external view returns (bool);

    /// @notice Sum of all penalties settled, bounties not included; these tokens stay here for ever.
    /// @return In the token's smallest unit
    function burnt() external view returns (uint256);

    /// @notice The EIP-712 domain separator, "Mixpay RelayRegistry", version "1", of operators' consents and of descriptors.
    /// @return keccak256 of the encoded EIP712Domain: name, version, chain id, this contract
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    /// @notice What every relay stakes, in the token's smallest unit; immutable.
    /// @return Not zero
    function STAKE() external view returns (uint96);

    /// @notice Seconds between `leave` (or an eviction) and the end of the stake's bond; immutable.
    /// @return Not zero, at most 365 days
    function UNBONDING() external view returns (uint40);

    /// @notice What a proven equivocation costs, in the token's smallest unit; immutable.
    /// @return Less than `STAKE`
    function PENALTY() external view returns (uint96);

    /// @notice The part of a penalty that goes to the reporter, in percent; constant.
    /// @return 5
    function BOUNTY_PERCENT() external view returns (uint256);

    /// @notice The ledger into which slashed stakes and bounties are paid; immutable.
    /// @return Its address; its token is the registry's
    function CHANNELS() external view returns (IChannels);

    /// @notice The only account that can slash and condemn; immutable.
    /// @return A ReceiptCourt; it names this registry in turn
    function COURT() external view returns (address);

    /// @notice The token staked; immutable.
    /// @return A plain ERC-20
    function TOKEN() external view returns (IERC20);
}
