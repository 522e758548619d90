// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IReceiptCourt} from "./IReceiptCourt.sol";

/// @title A ledger of tokens and the one-way payment channels on it
/// @notice Tokens enter and leave through `deposit` and `withdraw`; everything between moves inside the ledger.
///
/// A *channel* is a deposit from a payer to a payee. The payer signs *vouchers*, each for the total it owes this payee
/// since ever; a newer one replaces all older. Where a payer does not sign, the court *judges*: a judgement is a total of
/// the same series. `claimed` is a high-water mark over all vouchers and judgements: it never falls, not even when the
/// channel closes, so nothing is ever paid twice and nothing revives. What the deposit lacks is not lost: the same voucher
/// or judgement pays the rest after a top-up.
///
/// What is signed (EIP-712, domain "Mixpay Channels", version "1", this chain, this contract):
/// - Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch): what `claim` takes;
/// - Batch(address payer,address payee,uint32 number,uint32 count,uint64 value,uint96 price,bytes32 locksRoot):
///   the tickets that the payee has acknowledged since the last voucher, and their value at this hop price; only the court
///   reads it.
/// @dev Trust: there is no owner, no proxy and no pause. The court, fixed at deployment, can take a bond from the account
/// that opens a case, hold a closing channel open once for the length of a case, have a channel pay what it judged before it
/// closes, and add to a channel what it took from a payer's stake; nothing else. The token must be a plain ERC-20. One that
/// takes a fee on transfer is refused at every deposit; one that can pause or blacklist can freeze withdrawals. Sum of
/// balances + sum of (deposit - claimed) over all channels = tokens held, but for tokens sent here without a deposit, which
/// are nobody's.
interface IChannels {
    /// @notice Thrown when an account has less than what is to leave it.
    /// @param balance What it has
    /// @param amount What was asked for
    error InsufficientBalance(uint256 balance, uint256 amount);
    /// @notice Thrown when the receiving address is zero, or, for a withdrawal, this contract.
    error InvalidRecipient();
    /// @notice Thrown when a voucher's signature is malformed, not canonical (high s), or not the payer's.
    error InvalidSignature();
    /// @notice Thrown when a call that only the court may make comes from another account.
    error NotCourt();
    /// @notice Thrown when packed vouchers are not a whole number of records.
    /// @param length Bytes given
    error InvalidLength(uint256 length);
    /// @notice Thrown when two lists that belong together differ in length.
    error LengthsDiffer();
    /// @notice Thrown when there is nothing in the channel that closing it could return.
    error ChannelEmpty();
    /// @notice Thrown when the close was already requested.
    /// @param closesAt When it can be finished
    error CloseAlreadyRequested(uint40 closesAt);
    /// @notice Thrown when no close was requested, or a top-up has cancelled it.
    error CloseNotRequested();
    /// @notice Thrown when the notice is still running.
    /// @param closesAt When the close can be finished
    error NoticeRunning(uint40 closesAt);

    /// @notice Emitted when tokens enter the ledger.
    /// @param account Whose balance rises
    /// @param amount By how much
    event Deposited(address indexed account, uint96 amount);
    /// @notice Emitted when tokens leave the ledger.
    /// @param account Whose balance falls
    /// @param to Who receives the tokens
    /// @param amount How many
    event Withdrawn(address indexed account, address indexed to, uint96 amount);
    /// @notice Emitted when an amount moves between two balances.
    /// @param from Whose balance falls
    /// @param to Whose balance rises
    /// @param amount By how much
    event Moved(address indexed from, address indexed to, uint96 amount);
    /// @notice Emitted when a channel is opened or topped up.
    /// @param payer Who pays through it
    /// @param payee Who is paid
    /// @param amount What was added
    /// @param deposit All-time total of the channel's deposit
    event Funded(address indexed payer, address indexed payee, uint96 amount, uint96 deposit);
    /// @notice Emitted when a payee is credited from a channel.
    /// @param payer Who pays
    /// @param payee Who is paid
    /// @param amount What was paid now
    /// @param claimed All-time total paid through the channel
    event Claimed(address indexed payer, address indexed payee, uint96 amount, uint96 claimed);
    /// @notice Emitted when a payer gives notice.
    /// @param payer Who wants its deposit back
    /// @param payee Whose claims are due before `closesAt`
    /// @param closesAt When the close can be finished
    event CloseRequested(address indexed payer, address indexed payee, uint40 closesAt);
    /// @notice Emitted when a channel was closed after its notice.
    /// @param payer Who got the rest
    /// @param payee Who was paid through the channel
    /// @param refund What was credited to the payer
    event Closed(address indexed payer, address indexed payee, uint96 refund);
    /// @notice Emitted when the court holds a closing channel open.
    /// @param payer Who gave notice
    /// @param payee Who opened a case
    /// @param closesAt When the close can be finished now
    event Held(address indexed payer, address indexed payee, uint40 closesAt);
    /// @notice Emitted when a payee lets the payer out at once.
    /// @param payer Who got the rest
    /// @param payee Who gave it up
    /// @param refund What was credited to the payer
    event Released(address indexed payer, address indexed payee, uint96 refund);

    /// @notice Moves tokens, which the caller has approved before, into the caller's balance.
    /// @param amount How many, in the token's smallest unit
    function deposit(uint96 amount) external;

    /// @notice Moves tokens, which the caller has approved before, into another account's balance.
    /// @param account Whose balance rises
    /// @param amount How many, in the token's smallest unit
    function depositFor(address account, uint96 amount) external;

    /// @notice Approves by the caller's ERC-2612 permit, then deposits. A permit that somebody has used up before does not
    /// make the call fail as long as the approval is there.
    /// @param amount How many; the permit's value
    /// @param deadline Last second in which the permit can be used
    /// @param v Of the permit's signature
    /// @param r Of the permit's signature
    /// @param s Of the permit's signature
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Moves tokens out of the caller's balance.
    /// @param to Who receives them
    /// @param amount How many
    function withdraw(address to, uint96 amount) external;

    /// @notice Moves an amount from the caller's balance to another's.
    /// @param to Whose balance rises
    /// @param amount By how much
    function move(address to, uint96 amount) external;

    /// @notice Opens or tops up the caller's channel to a payee, from the caller's balance. Cancels a pending close, so an
    /// amount of zero takes a close request back.
    /// @param payee Who can claim
    /// @param amount What is added to the deposit
    function fund(address payee, uint96 amount) external;

    /// @notice `fund` for many payees in one call.
    /// @param payees Who can claim, each from its own channel; one that is named twice is funded twice
    /// @param amounts What is added, in the same order
    function fundMany(address[] calldata payees, uint96[] calldata amounts) external;

    /// @notice Credits the payee's balance with `min(cumulative, deposit) - claimed`. Anyone may submit a voucher; the
    /// money reaches the payee only. A voucher with nothing (more) to pay changes nothing and returns 0, so that submitting
    /// one twice is no error.
    /// @param payer Who signed
    /// @param payee Who is paid
    /// @param cumulative The all-time total that the voucher is for
    /// @param uptoBatch The last batch that the total covers; signed, not stored
    /// @param signature The payer's EIP-712 signature r . s . v over the Voucher, 65 bytes, low s
    /// @return paid What was credited now
    function claim(address payer, address payee, uint96 cumulative, uint32 uptoBatch, bytes calldata signature)
        external
        returns (uint96 paid);

    /// @notice `claim` for one payee and many payers in one call: all or nothing.
    /// @param payee Who is paid
    /// @param vouchers Records of 100 bytes: payer 20 . cumulative 12 . uptoBatch 4 . r 32 . vs 32, the signature in the
    /// compact form of EIP-2098
    /// @return paid What was credited now, in all
    function claimMany(address payee, bytes calldata vouchers) external returns (uint256 paid);

    /// @notice `claim` with the court's newest judgement instead of a voucher. Anyone; the money reaches the payee only.
    /// @param payer Against whom the court has judged
    /// @param payee Who is paid
    /// @return paid What was credited now
    function claimJudgement(address payer, address payee) external returns (uint96 paid);

    /// @notice Gives notice for the caller's channel to a payee. Claims stay possible until the close is finished.
    /// @param payee Who is paid through it
    function requestClose(address payee) external;

    /// @notice Returns what is not claimed to the caller's balance, once the notice is over. What the court has judged is
    /// paid to the payee first. `claimed` stays, and the all-time deposit becomes equal to it.
    /// @param payee Who was paid through the channel
    function finishClose(address payee) external;

    /// @notice Returns what is not claimed to the payer at once. Only the payee, who gives up what it did not claim, but for
    /// what the court has judged: that is paid first, so that nobody lets a payer out to fall back on its stake.
    /// @param payer Who is let out of its channel to the caller
    function release(address payer) external;

    /// @notice Moves a bond from an account to the court's balance. Only the court, for the account that calls it.
    /// @param from Who opens a case
    /// @param amount The bond
    function takeBond(address from, uint96 amount) external;

    /// @notice Puts a pending close off until a case is over: once for each close request, and not at all where none is
    /// pending or its notice is over. Only the court.
    /// @param payer Who gave notice
    /// @param payee Who opened a case
    /// @param until When the case is over
    function hold(address payer, address payee, uint40 until) external;

    /// @notice Marks a channel that the court has judged, so that closing it asks the court. Only the court.
    /// @param payer Against whom
    /// @param payee For whom
    function markJudged(address payer, address payee) external;

    /// @notice Adds an amount of the court's balance to a channel's deposit. Unlike `fund` it cancels no close. Only the
    /// court, with what it took from the payer's stake.
    /// @param payer Whose stake it was
    /// @param payee Who can claim it
    /// @param amount What is added
    function fundFromStake(address payer, address payee, uint96 amount) external;

    /// @notice What an account holds in the ledger, channels not included.
    /// @param account The account
    /// @return In the token's smallest unit
    function balanceOf(address account) external view returns (uint256);

    /// @notice A channel; all zero when there never was one.
    /// @param payer Who pays through it
    /// @param payee Who is paid
    /// @return deposited All-time total deposited, less what was returned
    /// @return claimed All-time total paid to the payee
    /// @return closesAt When a requested close can be finished; zero when none is requested
    function channel(address payer, address payee)
        external
        view
        returns (uint96 deposited, uint96 claimed, uint40 closesAt);

    /// @notice The EIP-712 domain separator of vouchers and batches.
    /// @return keccak256 of the encoded EIP712Domain: name, version, chain id, this contract
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    /// @notice The court whose judgements are claimable here; immutable.
    /// @return Its address; it names this contract in turn
    function COURT() external view returns (IReceiptCourt);

    /// @notice Seconds between `requestClose` and `finishClose`; immutable.
    /// @return A length of time
    function NOTICE() external view returns (uint40);

    /// @notice The token that the ledger holds; immutable.
    /// @return A plain ERC-20
    function TOKEN() external view returns (IERC20);
}
